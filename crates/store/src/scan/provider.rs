//! A table of a snapshot as a `TableProvider`: files by bucket, order, range partitioning, pruning.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::{DFSchema, Result, ScalarValue, SplitPoint, Statistics, TableReference};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;

use super::copies;
use super::decryption::ScanKeys;
use super::partitions::{BucketLoads, PartitionMap};
use super::statistics;
use crate::{FileEntry, OwnedColumn, Snapshot, Store, TableVersion};

/// One table of one snapshot. Planning it reads nothing but the manifest, which is already in memory:
/// no listing, no HEAD request, and footers come from the session's metadata cache.
#[derive(Debug, Clone)]
pub struct SnapshotTable {
    store: Store,
    table: TableVersion,
    /// The table's schema with strings as views, which is how Parquet is read.
    schema: SchemaRef,
    /// The person key's column, where the table has one.
    person: Option<usize>,
    /// Present in bucketed tables only.
    buckets: Option<Arc<BucketLoads>>,
    statistics: bool,
    ordered: bool,
    /// The column whose copy is read, whatever is asked for.
    by: Option<String>,
}

impl SnapshotTable {
    /// All tables of a snapshot, by name.
    #[must_use]
    pub fn all(store: &Store, snapshot: &Snapshot) -> Vec<(String, Self)> {
        let buckets = Arc::new(BucketLoads::of(snapshot));
        snapshot
            .tables()
            .map(|table| (table.spec.name.clone(), Self::build(store, table, &buckets)))
            .collect()
    }

    /// The table of this name, or `None` when the snapshot has no such table.
    #[must_use]
    pub fn new(store: &Store, snapshot: &Snapshot, name: &str) -> Option<Self> {
        let table = snapshot.table(name)?;
        Some(Self::build(
            store,
            table,
            &Arc::new(BucketLoads::of(snapshot)),
        ))
    }

    fn build(store: &Store, table: &TableVersion, buckets: &Arc<BucketLoads>) -> Self {
        let schema = Arc::new(
            datafusion::datasource::file_format::parquet::transform_schema_to_view(
                &table.spec.schema,
            ),
        );
        let person = table
            .spec
            .person_key
            .as_deref()
            .and_then(|key| schema.index_of(key).ok());
        // Anything that does not fit the buckets is scanned without a promise.
        let fits = table
            .files
            .iter()
            .all(|file| file.bucket.is_some_and(|bucket| buckets.contains(bucket)));
        let bucketed = person.is_some() && fits;
        Self {
            store: store.clone(),
            table: table.clone(),
            schema,
            person,
            buckets: bucketed.then(|| Arc::clone(buckets)),
            statistics: true,
            ordered: true,
            by: None,
        }
    }

    /// The table value by value of a column, and within each as it is stored: by person and date. Each bucket is a partition of
    /// its own. None where files have no copy by the column, or plans may not know of orders.
    #[must_use]
    pub fn by_copy(&self, column: &str) -> Option<Self> {
        let copied = |file: &FileEntry| file.projection(column).is_some();
        let told = self.statistics && self.ordered && self.buckets.is_some();
        (told && self.table.files.iter().all(copied)).then(|| Self {
            by: Some(column.to_owned()),
            ..self.clone()
        })
    }

    /// The column by which it is read value by value.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Whether plans may know row counts and person ranges. Turned off below a guard: statistics answer
    /// `count`, `min` and `max` in plain `EXPLAIN`, of rows that the guard hides.
    #[must_use]
    pub fn with_statistics(mut self, statistics: bool) -> Self {
        self.statistics = statistics;
        self
    }

    /// Whether plans may know the order of rows. Turned off where nobody corrects what DataFusion 55 concludes from
    /// it: it takes a hash join for sorted by the columns of its kept side, too, and then groups some rows twice.
    #[must_use]
    pub fn with_order(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// The store that the table lies in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The version of the table that is scanned.
    #[must_use]
    pub fn version(&self) -> &TableVersion {
        &self.table
    }

    /// What is known of a column of which each value is one person's. Nothing where plans may not know of rows.
    #[must_use]
    pub fn owned(&self, column: &str) -> Option<&OwnedColumn> {
        let mut columns = self.table.owned.iter().filter(|_| self.statistics);
        columns.find(|owned| owned.name == column)
    }

    /// Whether the other table is of the same snapshot, for certain.
    #[must_use]
    pub fn shares_snapshot(&self, other: &Self) -> bool {
        let both = self.buckets.as_ref().zip(other.buckets.as_ref());
        both.is_some_and(|(these, those)| Arc::ptr_eq(these, those))
    }

    /// Whether any of its files is encrypted: only a process that has the keys can scan it.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.table
            .files
            .iter()
            .any(|file| file.encryption.is_some())
    }

    /// Whether the scan is partitioned by ranges of persons.
    #[must_use]
    pub fn is_co_located(&self) -> bool {
        self.buckets.is_some()
    }

    /// The name under which the store's files are known to DataFusion: one for each store, and no path in it.
    fn object_store_url(store: &Store) -> Result<ObjectStoreUrl> {
        let digest = blake3::hash(store.url().as_bytes()).to_hex();
        ObjectStoreUrl::parse(format!("columna://{}", &digest.as_str()[..16]))
    }

    /// Makes a store's files known to a runtime, for scans that were planned elsewhere.
    ///
    /// # Errors
    /// None that can happen: the name is made from a digest.
    pub fn register(store: &Store, runtime: &RuntimeEnv) -> Result<ObjectStoreUrl> {
        let url = Self::object_store_url(store)?;
        if runtime.object_store(&url).is_err() {
            runtime.register_object_store(url.as_ref(), store.object_store());
        }
        Ok(url)
    }

    /// The files that a row passing all filters can be in, by what the manifest says of their persons.
    fn files_in_question(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&FileEntry>> {
        let files: Vec<&FileEntry> = self.table.files.iter().filter(|f| f.rows > 0).collect();
        let Some(person) = self.person else {
            return Ok(files);
        };
        let key = self.schema.field(person).name();
        let about_persons = filters.iter().filter(|filter| {
            filter
                .column_refs()
                .iter()
                .any(|column| column.name() == key)
        });
        let Some(filter) = conjunction(about_persons.cloned()) else {
            return Ok(files);
        };
        // A filter that can't be turned into a predicate, such as one with a subquery, prunes nothing.
        let Ok(filter) = self.predicate(state, &filter) else {
            return Ok(files);
        };
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(filter);
        let Ok(predicate) = predicate else {
            return Ok(files);
        };
        let known = files
            .iter()
            .map(|file| Arc::new(statistics::of_file(&self.schema, self.person, file)))
            .collect();
        let keep = predicate.prune(&PrunableStatistics::new(known, Arc::clone(&self.schema)))?;
        Ok(files
            .into_iter()
            .zip(keep)
            .filter_map(|(file, keep)| keep.then_some(file))
            .collect())
    }

    /// A filter, by whatever name the query calls the table, over the table's columns.
    fn predicate(&self, state: &dyn Session, filter: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let table = TableReference::bare(self.table.spec.name.as_str());
        let names = DFSchema::try_from_qualified_schema(table, &self.schema)
            .or_else(|_| DFSchema::try_from(Arc::clone(&self.schema)))?;
        let (filter, names) = strip_qualifiers(filter.clone(), &names)?;
        state.create_physical_expr(filter, &names)
    }

    fn partitioned_file(&self, file: &FileEntry) -> PartitionedFile {
        PartitionedFile::new_from_meta(ObjectMeta {
            location: self.store.location(file),
            // Files never change once written, so that one time is as good as another for the caches.
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: file.bytes,
            e_tag: None,
            version: None,
        })
    }

    /// Files by partition, in the order of their persons. Empty partitions stay: partition `i` means the
    /// same persons in every table.
    fn co_located_groups(
        &self,
        files: &[&FileEntry],
        map: &PartitionMap,
        of_copies: bool,
    ) -> Vec<FileGroup> {
        let mut by_partition: Vec<Vec<&FileEntry>> = vec![Vec::new(); map.len()];
        for file in files {
            let partition = file.bucket.and_then(|bucket| map.partition_of(bucket));
            if let Some(group) = partition.and_then(|index| by_partition.get_mut(index)) {
                group.push(file);
            }
        }
        let sort = self.sort_columns();
        by_partition
            .into_iter()
            .map(|mut group| {
                group.sort_by_key(|file| (file.min_person, file.max_person));
                let several = group.len() > 1;
                let total = statistics::of_files(&self.schema, self.person, group.iter().copied());
                let files = group
                    .into_iter()
                    .map(|file| {
                        let mut known = statistics::of_file(&self.schema, self.person, file);
                        if several {
                            statistics::widen_sort_columns(&mut known, &self.schema, &sort);
                        }
                        self.partitioned_file(file).with_statistics(Arc::new(known))
                    })
                    .collect();
                let group = FileGroup::new(files);
                if self.statistics && !of_copies {
                    group.with_statistics(Arc::new(total))
                } else {
                    group
                }
            })
            .collect()
    }

    fn plain_groups(&self, files: &[&FileEntry], target_partitions: usize) -> Vec<FileGroup> {
        let files = files
            .iter()
            .map(|file| {
                let known = statistics::of_file(&self.schema, self.person, file);
                self.partitioned_file(file).with_statistics(Arc::new(known))
            })
            .collect();
        FileGroup::new(files).split_files(target_partitions.max(1))
    }

    fn sort_columns(&self) -> Vec<usize> {
        self.table
            .spec
            .sort
            .iter()
            .map_while(|name| self.schema.index_of(name).ok())
            .collect()
    }

    /// The order of the rows. Where several files lie in one partition and a later sort column can have no
    /// bounds, it is the order of the persons alone.
    fn orderings(&self, groups: &[FileGroup]) -> Vec<LexOrdering> {
        if !self.ordered {
            return Vec::new();
        }
        let mut columns = self.sort_columns();
        let several = groups.iter().any(|group| group.len() > 1);
        if several && !statistics::can_widen(&self.schema, &columns) {
            columns.retain(|column| self.person == Some(*column));
        }
        let order = LexOrdering::new(columns.iter().map(|&index| self.ascending(index)));
        order.into_iter().collect()
    }

    /// The order of the rows of copies by a column. Across files its values begin anew.
    fn orderings_by(&self, by: &str, groups: &[FileGroup]) -> Vec<LexOrdering> {
        let one_each = groups.iter().all(|group| group.len() <= 1);
        let Some(by) = self.schema.index_of(by).ok().filter(|_| one_each) else {
            return Vec::new();
        };
        let columns = self.sort_columns().into_iter();
        let columns = std::iter::once(by).chain(columns.filter(|column| *column != by));
        let order = LexOrdering::new(columns.map(|index| self.ascending(index)));
        order.into_iter().collect()
    }

    fn ascending(&self, index: usize) -> PhysicalSortExpr {
        let column = Column::new(self.schema.field(index).name(), index);
        PhysicalSortExpr::new(
            Arc::new(column),
            SortOptions {
                descending: false,
                nulls_first: false,
            },
        )
    }

    fn range_partitioning(
        &self,
        person: usize,
        map: &PartitionMap,
    ) -> Result<Option<Partitioning>> {
        let Some(ordering) = LexOrdering::new([self.ascending(person)]) else {
            return Ok(None);
        };
        let key_type = self.schema.field(person).data_type();
        let splits = map
            .splits()
            .iter()
            .map(|&split| {
                let value = ScalarValue::Int64(Some(split)).cast_to(key_type)?;
                Ok(SplitPoint::new(vec![value]))
            })
            .collect::<Result<_>>()?;
        Ok(Some(Partitioning::Range(RangePartitioning::try_new(
            ordering, splits,
        )?)))
    }
}

/// From so many columns on that no filter reads, the rest of a row is worth decoding for the rows that pass only.
const WIDE: usize = 8;

/// Whether Parquet's decoder is to filter rows: where one value of a column is asked for and much else of its rows is read.
/// Elsewhere it costs more than it saves, as rows that pass lie scattered among those that don't.
fn filters_first(schema: &SchemaRef, projection: Option<&Vec<usize>>, filters: &[Expr]) -> bool {
    let one_value = filters.iter().any(|filter| match filter {
        Expr::BinaryExpr(comparison) => {
            comparison.op == Operator::Eq
                && matches!(
                    (comparison.left.as_ref(), comparison.right.as_ref()),
                    (Expr::Column(_), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(_))
                )
        }
        _ => false,
    });
    if !one_value {
        return false;
    }
    let read: HashSet<&str> = filters
        .iter()
        .flat_map(|filter| filter.column_refs())
        .map(|column| column.name.as_str())
        .collect();
    let columns = projection.map_or(schema.fields().len(), Vec::len);
    columns >= read.len() + WIDE
}

/// Filters arrive qualified by whatever name the table has in the query; the scan knows only columns.
fn strip_qualifiers(filter: Expr, names: &DFSchema) -> Result<(Expr, DFSchema)> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let filter = filter
        .transform(|expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(
                datafusion::common::Column::new_unqualified(column.name),
            ))),
            other => Ok(Transformed::no(other)),
        })?
        .data;
    Ok((filter, names.clone().strip_qualifiers()))
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Inexact: the scan uses a filter to leave files out, the Parquet reader to leave out row groups
        // and pages, and the rows that remain are still filtered, in the decoder or above it.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        self.statistics
            .then(|| statistics::of_files(&self.schema, self.person, self.table.files.iter()))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let runtime = state.runtime_env();
        let url = Self::register(&self.store, runtime)?;
        let in_question = self.files_in_question(state, filters)?;
        let by = self.by.as_deref();
        let by = by.and_then(|by| Some((by, copies::by(by, &in_question, filters)?)));
        let choice = match by {
            Some(_) => None,
            None => copies::choose(&self.table, &in_question, filters, self.statistics),
        };
        let in_order = choice.as_ref().is_none_or(|choice| choice.one_value);
        let expected = choice.as_ref().and_then(|choice| choice.rows);
        let of_copies = by.is_some() || choice.is_some();
        let (by, files, asked) = match (by, choice) {
            (Some((by, (files, asked))), _) => (Some(by), files, asked),
            (None, Some(choice)) => (None, choice.files, Some(choice.filter)),
            (None, None) => (None, in_question, None),
        };
        // Rows of other values that lie in the same page must not come out, since they would break the order.
        let only = asked.map(|filter| self.predicate(state, &filter));
        let only = only.transpose()?;
        let keys = ScanKeys::of(&self.store, &files)?;
        let target_partitions = state.config().target_partitions();

        // Without the person key in the output nothing can use the layout, and a scan that may be split
        // at any byte and shared between threads is the faster one.
        let person_read = self
            .person
            .filter(|person| projection.is_none_or(|columns| columns.contains(person)));
        let map = person_read
            .and(self.buckets.as_ref())
            .map(|buckets| match by {
                Some(_) => buckets.each_apart(),
                None => buckets.partition_map(target_partitions),
            });
        let (groups, orderings, partitioning) = match (&map, person_read) {
            (Some(map), Some(person)) => {
                let groups = self.co_located_groups(&files, map, of_copies);
                let orderings = match by {
                    Some(by) => self.orderings_by(by, &groups),
                    None if in_order => self.orderings(&groups),
                    None => Vec::new(),
                };
                (groups, orderings, self.range_partitioning(person, map)?)
            }
            _ => {
                let groups = self.plain_groups(&files, target_partitions);
                let one_file_each = groups.iter().all(|group| group.len() == 1);
                let ordered = self.person.is_none() && one_file_each;
                let orderings = if ordered {
                    self.orderings(&groups)
                } else {
                    Vec::new()
                };
                (groups, orderings, None)
            }
        };
        if groups.is_empty() {
            let schema = datafusion::common::project_schema(&self.schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }

        let mut options = TableParquetOptions::new();
        options.global = state.config_options().execution.parquet.clone();
        options.global.pushdown_filters |=
            only.is_some() || filters_first(&self.schema, projection, filters);
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(only) = only {
            source = source.with_predicate(only);
        }
        if let Some(keys) = keys {
            source = source.with_encryption_factory(keys);
        }
        let mut config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_output_ordering(orderings)
            .with_output_partitioning(partitioning);
        if self.statistics {
            let mut known = statistics::of_files(&self.schema, self.person, files.iter().copied());
            if let Some(rows) = expected {
                known = statistics::of_some(known, rows);
            }
            config = config.with_statistics(known);
        }
        Ok(DataSourceExec::from_data_source(config.build()))
    }
}
