/** Tests of the main line that are not those of this edition, with the reason: patterns of files. */
export const notRun: Readonly<Record<string, string>> = {
  "test/benchmark/**": "the benchmark is the repository's",
  "test/package/{ignored,install,package}.test.ts": "they look at what the repository says of the package of the main line",
  "test/weight/path.test.ts": "it counts the files of the main line",
  "test/weight/weight.test.ts": "it counts by a Supervisor, which Effect 4 has not",
  "test/documents.test.ts": "scripts of the repository write the documents",
  "test/error/page.test.ts": "a script of the repository writes the page",
  "test/observe/dashboard.test.ts": "a script of the repository writes the dashboard",
  "test/drop-in/{config,dumps,effectSql,mysql,mysqlClient,pg,sqlite,transactionConnection,typeParsers}.test.ts":
    "they stand beside the published clients of Effect 3; test/edition stands beside that of Effect 4",
  "test/conformance/pgbouncer.test.ts":
    "the suites of conformance/pg once more, for more than a minute; test/pooler is run",
  "test/driver/mssql/serverByUrl.test.ts": "a run within a run, of tests that the run around it has, too",
  "test/driver/sqlite/published.test.ts": "Effect 4 has no published client of SQLite",
  "test/effect/**": "they are for what the main line needs of Effect 3"
}
