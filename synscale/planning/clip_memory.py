"""Memory that a CLIP training needs, from the study's numbers. Imports no torch.

`device_bytes` is a lower bound, so that only trainings that cannot fit are refused. Workspace of
kernels and fragmentation come on top; `calibrate` measures the peak with the real number of
micro-batches.
"""

from dataclasses import dataclass

from synscale.study.models.clip import ClipArchitecture, ClipTraining

FLOAT = 4  # bytes
# Numbers of the width of a layer that its backward pass needs for each token. Counted with
# torch.autograd.graph.saved_tensors_hooks on open_clip's shards with torch 2.13, in float32 and
# bfloat16: both norms and the residual stream (4), queries, keys, values and the output of
# attention (4), the hidden layer (4) and its QuickGELU (8). Compilation recomputes half of
# the last. A test counts again.
VALUES_PER_TOKEN = 20
VALUES_PER_TOKEN_COMPILED = 16
# The last block of a tower has one query (models/pooled_clip.py). It keeps the residual stream, its
# norm, keys and values of all tokens.
VALUES_OF_LAST_BLOCK = 4
# Copies of a similarity matrix in float32 while its loss is differentiated: logits, their
# log-softmax, their gradient.
MATRIX_COPIES = 3
READER_MB = 1500  # a reader: Python and torch (700), manifests and texts of 32 shards (500)
PROCESS_MB = 2000  # a training process in addition, without its batch
READER_BATCHES = 3  # that a reader holds: two that wait and one that it writes


@dataclass(frozen=True)
class Memory:
    """What one process of a CLIP training has to keep.

    Parameters
    ----------
    name : str
        Source and run.
    architecture : ClipArchitecture
    parameters : int
        Weights of the model.
    image_size : int
        Pixels a side that the model sees.
    batch_size : int
        Pairs of a step, over all processes.
    micro_batch : int
        Pairs that a process works on at once.
    ranks : int
        Processes.
    bfloat16, gradient_checkpointing, compiled : bool
    """

    name: str
    architecture: ClipArchitecture
    parameters: int
    image_size: int
    batch_size: int
    micro_batch: int
    ranks: int = 1
    bfloat16: bool = True
    gradient_checkpointing: bool = False
    compiled: bool = False

    @property
    def weights(self) -> int:
        """Bytes of weights, gradients and both moments of AdamW.

        In addition the copy that DistributedDataParallel sends, and the weights in bfloat16.
        """
        copies = 4 + (self.ranks > 1) + 0.5 * self.bfloat16
        return round(copies * FLOAT * self.parameters)

    @property
    def activations(self) -> int:
        """Bytes of what the backward pass of one micro-batch needs.

        Values of a layer: tokens x width x VALUES_PER_TOKEN, for image and text. With gradient
        checkpointing a layer keeps its input only, and one layer at a time is computed again. The
        last layers of both towers keep less.
        """
        model = self.architecture
        patches = (self.image_size // model.patch_size) ** 2 + 1
        image = patches * model.width
        text = model.context_length * model.text_width
        earlier = image * (model.depth - 1) + text * (model.text_depth - 1)
        values = VALUES_PER_TOKEN_COMPILED if self.compiled else VALUES_PER_TOKEN
        if self.gradient_checkpointing:
            layer = values if min(model.depth, model.text_depth) > 1 else VALUES_OF_LAST_BLOCK
            numbers = earlier + image + text + layer * max(image, text)
        else:
            numbers = values * earlier + VALUES_OF_LAST_BLOCK * (image + text)
        return self.micro_batch * numbers * (2 if self.bfloat16 else FLOAT)

    @property
    def batch(self) -> int:
        """Bytes of images, features and similarities.

        Images of one micro-batch as bytes and as float32. Features of the complete batch and their
        gradients, of image and text. Rows of the similarity matrix: those of one micro-batch in
        one direction, or in both if there is one micro-batch.
        """
        images = self.micro_batch * 3 * self.image_size**2 * (1 + FLOAT)
        features = 2 * 2 * FLOAT * self.batch_size * self.architecture.embed_dim
        directions = 2 if self.micro_batch * self.ranks == self.batch_size else 1
        rows = self.micro_batch * self.batch_size * FLOAT * MATRIX_COPIES * directions
        return images + features + rows

    @property
    def device_bytes(self) -> int:
        """Bytes that the GPU needs at least."""
        return self.weights + self.activations + self.batch


def check(memory: Memory, total: int) -> None:
    """Raise SystemExit if a training cannot fit into a GPU.

    Parameters
    ----------
    memory : Memory
    total : int
        Memory of the GPU in bytes.

    Raises
    ------
    SystemExit
        With the key to change.
    """
    if memory.device_bytes <= total:
        return
    parts = (
        f"weights and optimizer {memory.weights / 1e9:.1f}, "
        f"activations {memory.activations / 1e9:.1f}, "
        f"images, features and similarities {memory.batch / 1e9:.1f}"
    )
    advice = "lower clip.micro_batch_size"
    if not memory.gradient_checkpointing:
        advice += " or set clip.gradient_checkpointing: true"
    raise SystemExit(
        f"{memory.name}: {memory.micro_batch} pairs at a time do not fit into the GPU "
        f"(at least {memory.device_bytes / 1e9:.1f} GB: {parts}; "
        f"expected at most {total / 1e9:.1f} GB); {advice}"
    )


def host_mb(recipe: ClipTraining, image_size: int, channels: int, threads: int) -> int:
    """Return the host memory that a node needs, in MB, whatever its number of GPUs.

    All processes of a node together hold the images of at most one batch, as bytes. Each reader
    holds three micro-batches.

    Parameters
    ----------
    recipe : ClipTraining
    image_size : int
        Pixels a side that the model sees.
    channels : int
    threads : int
        Threads of the job on a node, each at most one reader.

    Returns
    -------
    int
    """
    image = channels * image_size**2
    batch = recipe.batch_size
    micro_batch = min(batch, recipe.micro_batch_size or batch)
    per_thread = READER_MB + READER_BATCHES * micro_batch * image / 1e6
    return round(PROCESS_MB + batch * image / 1e6 + threads * per_thread)
