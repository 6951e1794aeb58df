/** Modules that the edition does not have yet, with the reason: a file, or all below a folder. */
export const leftOut: Readonly<Record<string, string>> = {
  "src/DbHttp.ts": "the routes wait for a translation to Effect 4's HttpApi",
  "src/internal/http/": "as DbHttp",
  "src/DbPrometheus.ts": "reads states of metrics, which are others in Effect 4",
  "src/DbSchema.ts": "its schemas have another form in Effect 4",
  "src/driver/Mssql.ts": "Effect 4 has no published client of SQL Server; its compiler has to become ours",
  "src/internal/driver/mssql/": "as driver/Mssql",
  "src/driver/Mysql.ts": "Effect 4 has no stable client of MySQL; its compiler has to become ours",
  "src/internal/driver/mysql/": "as driver/Mysql",
  "src/DbTest.ts": "the test layers wait for what they read of Effect's layers and for @effect/vitest 4",
  "src/internal/test/": "as DbTest",
  "src/internal/driver/pg/listener.ts": "LISTEN waits for a translation of its queues",
  "src/internal/driver/pg/clientConfig.ts": "PgClient waits for LISTEN",
  "src/internal/check/": "as the command line, which it is for",
  "src/internal/cli/": "the command line waits for a translation to Effect 4's cli"
}
