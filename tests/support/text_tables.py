"""Tables of texts as users bring them."""

import pyarrow as pa


def write_arrow(path, table: pa.Table) -> None:
    """An Arrow file as `save_to_disk` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def texts(prefix: str, ids=(0, 1, 2)) -> pa.Table:
    return pa.table({"class_id": pa.array(ids), "text": [f"{prefix} {i}" for i in range(len(ids))]})
