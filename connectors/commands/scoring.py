"""`clvsync score` and `clvsync backtest`: with a file they need no config and read none."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectors.commands.output import Share, config_option, emit, json_option, progress, rows_of, say, show_table

if TYPE_CHECKING:
    from datetime import date

    from click import Context, Parameter

TIERS = ("tier", "customers", "of all", "predicted value", "at least", "at most", "of all value", "average")
STAGES = ("stage", "customers", "of all", "predicted value", "of all value", "still a customer")
FIGURES = ("spearman", "gini", "top10_capture", "top20_capture", "decile_wape", "bias", "mae", "log_likelihood")


class Day(click.ParamType[Any]):
    """A day written YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, parameter: Parameter | None, context: Context | None) -> date:
        """The day; usage error otherwise."""
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is not a day; write YYYY-MM-DD", parameter, context)


orders_option = click.option(
    "--orders", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Orders (CSV, JSON lines, Parquet)."
)


@click.command("score")
@orders_option
@click.option("--as-of", type=Day(), help="The last day that counts (default: the last order's day, or as config says).")
@click.option("--horizon-days", type=click.IntRange(1, 3650), help="How far ahead (default 365, or as config says).")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Scores as .parquet or .csv.")
@config_option
@json_option
def score_command(
    file: Path | None, as_of: date | None, horizon_days: int | None, out: Path | None, folder: Path, as_json: bool
) -> None:
    """Score customers: what each is expected to be worth, how surely, and in which tier.

    Example: clvsync score --orders orders.csv --out scores.csv
    """
    from connectors import scored, tables

    if out is not None:
        tables.check_name(out)
    with progress() as shown:
        result = (
            scored.of_file(file, as_of, horizon_days, shown) if file else scored.of_config(folder, as_of, horizon_days, shown)
        )
    if out is not None:
        tables.write(result.scores.table, out)
    summary, seen = scored.summary(result), scored.insight(result)
    for warning in summary["warnings"]:
        say(f"note: {warning}")
    if as_json:
        emit({**summary, **seen, "out": out})
        return
    ahead = f"value of the next {summary['horizon_days']} days" + (f" in {summary['currency']}" if summary["currency"] else "")
    aware = f" and {summary['prospects']:,} who never bought" if summary["prospects"] else ""
    parts = (f"{summary['customers']:,} customers{aware} as of {summary['as_of']}", ahead, f"model {summary['model']}")
    title = ", ".join(parts)
    tiers = ("tier", "customers", "share_of_customers", "clv", "clv_low", "clv_high", "share_of_clv", "mean_clv")
    show_table(title, TIERS, _with_shares(rows_of(summary["tiers"], tiers), (2, 6)))
    whole = summary["total"]
    click.echo(
        f"All together {whole['clv']:,.0f}, 90% sure: {whole['clv_low']:,.0f} to {whole['clv_high']:,.0f}. "
        "The tiers' ranges don't add up to it: part of their errors evens out."
    )
    stages = ("stage", "customers", "share_customers", "predicted_clv", "share_predicted", "mean_p_alive")
    rows = [row | ({"mean_p_alive": None} if row["stage"] == "prospect" else {}) for row in seen["stages"]]
    show_table("Where they are in their life as customers", STAGES, _with_shares(rows_of(rows, stages), (2, 4, 5)))
    for row in seen["profiles"]:
        for reason in row["why"]:
            click.echo(f"{row['tier']} tier: {reason}")
    click.echo(f"Wrote {out}" if out else "Add --out scores.csv (or .parquet) to keep every customer's score.")


def _with_shares(rows: list[list[Any]], columns: tuple[int, ...]) -> list[list[Any]]:
    return [[Share(one) if at in columns and one is not None else one for at, one in enumerate(row)] for row in rows]


@click.command("backtest")
@orders_option
@click.option("--split", type=Day(), help="The last calibration day (default: as late as the horizon allows).")
@click.option(
    "--horizon-days", type=click.IntRange(1, 3650), help="Days held out after the split (default 365, or as config says)."
)
@config_option
@json_option
def backtest_command(file: Path | None, split: date | None, horizon_days: int | None, folder: Path, as_json: bool) -> None:
    """Set every model and heuristic side by side on orders that none of them has seen.

    Example: clvsync backtest --orders orders.csv --split 1997-09-30 --horizon-days 273
    """
    from connectors import scored

    with progress() as shown:
        result = scored.backtest(file, folder, split, horizon_days, shown)
    rows = [scored.finite(row) for row in result.models]
    for warning in result.warnings:
        say(f"note: {warning}")
    if as_json:
        head = {
            "split": result.split,
            "horizon_days": result.horizon_days,
            "customers": result.customers,
            "chosen": result.chosen,
        }
        emit({**head, "models": rows, "deciles": result.deciles.to_pylist()})
        return
    columns = ("model", *FIGURES, "chosen")
    title = f"Backtest: {result.customers:,} customers up to {result.split}, {result.horizon_days} days held out"
    show_table(title, columns, rows_of(rows, columns))
