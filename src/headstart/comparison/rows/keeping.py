"""The models that a finished comparison keeps."""

from __future__ import annotations

from headstart.comparison.bench import Bench
from headstart.core.disk.files import link_tree, replacing_folder, slug, write_json
from headstart.core.records.comparison import Comparison, Row


def keep_models(bench: Bench, result: Comparison, everything: bool) -> None:
    """The recommended method becomes `model/`; other methods of the verdict, or all, go to `models/METHOD/seedN`.

    `model/` is the best seed on validation.
    """
    sign = 1 if bench.workshop.metric.higher_is_better else -1

    def best(row: Row) -> int:
        return max(row.seeds, key=lambda run: sign * (run.validation_value or 0.0)).seed

    tested = {row.method: row for row in result.rows if row.seeds}
    use, *others = result.verdict.named or tuple(tested)[:1]
    _link(bench, use, best(tested[use]), "model")
    wanted = [(tested[name], best(tested[name])) for name in others]
    if everything:
        wanted = [(row, run.seed) for row in tested.values() for run in row.seeds]
    for row, seed in wanted:
        _link(bench, row.method, seed, f"models/{slug(row.method)}/seed{seed}")


def _link(bench: Bench, method: str, seed: int, name: str) -> None:
    """Links the files instead of moving them, because an interrupted run needs its progress until the record exists."""
    with replacing_folder(bench.folder / name) as temporary:
        link_tree(bench.places[method, seed] / "model", temporary)
        write_json(temporary / "labels.json", list(bench.workshop.data.task.labels))
