"""Checks of the table of claims, and of curves as curves of laws."""

from collections.abc import Iterator

from synscale.study.checks.messages import curve_errors
from synscale.study.models import CurveSelection, expand_curves

# Keys of tables.claims that a study with CLIP models needs.
CLIP_CLAIMS = ("clip_law", "clip_architecture", "clip_curves", "clip_mixture")


def real_curves(sources) -> list[CurveSelection]:
    """Return the curves of the real images.

    Parameters
    ----------
    sources : dict of str to Source
    """
    return [CurveSelection(source=name) for name, row in sources.items() if row.kind == "real"]


def fit_errors(key, law, architectures, curves, laws, experiments, sources) -> Iterator[str]:
    """Yield an error for each curve that the experiments of a law do not train.

    Parameters
    ----------
    key : str
        Place of the curves in the study.
    law : str
    architectures : list of str
    curves : list of CurveSelection
    laws, experiments, sources : dict
        Sections of the study.
    """
    if law not in laws or any(curve_errors(key, curves, sources)):
        return  # check_names reports it
    rows = [experiments[e] for e in laws[law].experiments if e in experiments]
    fitted = {
        (*pair, architecture)
        for row in rows
        for pair in expand_curves(row.curves, sources)
        for architecture in row.architectures
    }
    for source, scale in expand_curves(curves, sources):
        where = source if scale is None else f"{source} at guidance {scale:g}"
        for architecture in architectures:
            if (source, scale, architecture) not in fitted:
                yield (
                    f"{key} = {where} on {architecture}: not in the experiments of laws.{law}; "
                    "add it to one of them or remove it here"
                )


def check_claims(tables, laws, experiments, sources) -> Iterator[str]:
    """Check that curves of claims on other laws are curves of those laws."""
    claims = tables.claims
    if claims is None:
        return
    present = [name for name, value in claims if name.startswith("clip_") and value]
    missing = [name for name in CLIP_CLAIMS if name not in present]
    if present and missing:
        fix = f"add it, or remove {', '.join(present)}"
        yield from (f"tables.claims.{name}: missing; {fix}" for name in missing)
        return
    real = real_curves(sources)
    rows = [
        ("curves", law, claims.architecture, [*real, *claims.curves])
        for law in claims.ood_laws or []
    ]
    if claims.clip_mixture in sources:
        pairs = [CurveSelection(source=claims.clip_real)] if claims.clip_real else real
        curves = [*pairs, *claims.clip_curves, CurveSelection(source=claims.clip_mixture)]
        laws_of_clip = filter(None, (claims.clip_law, claims.clip_downstream_law))
        rows += [("clip_curves", law, claims.clip_architecture, curves) for law in laws_of_clip]
    for field, law, architecture, shown in rows:
        key = f"tables.claims.{field}"
        yield from fit_errors(key, law, [architecture], shown, laws, experiments, sources)
