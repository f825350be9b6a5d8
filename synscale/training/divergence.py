"""Stop a training whose loss is no longer finite, before its state is saved.

A state that contains NaN would be resumed by every retry of the job. Training loops therefore call
`check_finite` before they save, so that the last state on disk is always one with finite loss.
"""

import math


def check_finite(
    loss: float,
    name: str,
    step: int,
    learning_rate: float,
    gradient_norm: float | None = None,
    advice: str = "lower the learning rate or set gradient_clip",
) -> float:
    """Return the loss, or stop the training if it or the gradient is NaN or infinite.

    Parameters
    ----------
    loss : float
        Training loss of the step.
    name : str
        Source and run, as they are printed in the log.
    step : int
        Number of steps done, including this one.
    learning_rate : float
        Learning rate of the step.
    gradient_norm : float, optional
        Euclidean norm of the gradient before clipping. None if it was not computed.
    advice : str
        What to change, with the keys of the study.

    Returns
    -------
    float
        The loss, unchanged.

    Raises
    ------
    SystemExit
        If the loss or the norm is not finite. A finite loss with such a gradient would still put
        NaN into the weights.
    """
    if math.isfinite(loss) and (gradient_norm is None or math.isfinite(gradient_norm)):
        return loss
    norm = "not computed" if gradient_norm is None else f"{gradient_norm:.4g}"
    details = f"learning rate {learning_rate:.4g}, gradient norm {norm}, expected finite numbers"
    problem = f"training loss is {loss} at step {step} ({details})"
    raise SystemExit(f"{name}: {problem}; {advice}; the state saved before this step is kept")
