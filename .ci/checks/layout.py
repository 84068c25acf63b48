"""A store's files as other engines find them: plain, sorted Parquet, and Delta tables where published."""

import duckdb
import polars
import pyarrow.parquet

ROWS_PER_GROUP = 120_000


def counts_by_engine(store, table):
    """The rows of a table as DuckDB and Polars count them, from the files alone."""
    files = f"{store}/tables/{table}/**/*.parquet"
    by_duckdb = duckdb.execute(f"SELECT count(*) FROM read_parquet('{files}')").fetchone()[0]
    by_polars = polars.scan_parquet(files, hive_partitioning=False).select(polars.len()).collect().item()
    return by_duckdb, by_polars


def delta_counts(store, table):
    """The rows of a published table as the Delta reader and Polars count them."""
    import deltalake

    published = deltalake.DeltaTable(f"{store}/tables/{table}")
    return published.to_pyarrow_table().num_rows, polars.read_delta(f"{store}/tables/{table}").height


def complaints(store, table):
    """What is wrong with a table's files: compression, row groups, declared and true order."""
    for path in sorted((store / "tables" / table).rglob("*.parquet")):
        place = path.relative_to(store)
        file = pyarrow.parquet.ParquetFile(path)
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        for group in groups:
            if group.num_rows > ROWS_PER_GROUP:
                yield f"{place}: a row group of {group.num_rows} rows"
            if group.column(0).compression != "ZSTD":
                yield f"{place}: compressed with {group.column(0).compression}"
        if file.metadata.num_rows < 2:
            continue
        orders = {order(group) for group in groups}
        if len(orders) != 1 or not orders.copy().pop():
            yield f"{place}: no declared order, or not one"
        elif not is_sorted(file, orders.pop()):
            yield f"{place}: not in its declared order"


def order(group):
    """The declared order of a row group: column, descending, nulls first."""
    return tuple(
        (group.column(by.column_index).path_in_schema, by.descending, by.nulls_first) for by in group.sorting_columns or ()
    )


def is_sorted(file, columns):
    rows = polars.from_arrow(file.read(columns=[name for name, _, _ in columns]))
    ordered = rows.sort(
        [name for name, _, _ in columns],
        descending=[descending for _, descending, _ in columns],
        nulls_last=[not nulls_first for _, _, nulls_first in columns],
    )
    return rows.equals(ordered)
