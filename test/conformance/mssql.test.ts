import * as Effect from "effect/Effect"
import { describeMssql, freshMssqlDatabase, type MssqlDatabase, mssqlOptions, mssqlQuery } from "../kit/mssql.js"
import { conformance } from "../suites/conformance.js"
import type { Target } from "../suites/target.js"

const databases = new Map<string, MssqlDatabase>()

const mssql: Target = {
  name: "mssql",
  describe: describeMssql,
  fresh: Effect.map(freshMssqlDatabase, (database) => {
    databases.set(database.url, database)
    return mssqlOptions(database)
  }),
  singleWriter: true,
  outsideWaits: true,
  sql: {
    id: "BIGINT IDENTITY PRIMARY KEY",
    text: "NVARCHAR(100)",
    bigint: "BIGINT",
    begin: "BEGIN TRANSACTION",
    series: (n) =>
      `WITH s (x) AS (SELECT 1 WHERE ${n} > 0 UNION ALL SELECT x + 1 FROM s WHERE x < ${n}) SELECT x FROM s OPTION (MAXRECURSION 0)`,
    endless: "WAITFOR DELAY '01:00:00'",
    dirt: [
      { make: "CREATE TABLE #leftover (v INT)", see: "SELECT v FROM #leftover", clean: "UndefinedObject" },
      { make: "SET LOCK_TIMEOUT 4711", see: "SELECT @@LOCK_TIMEOUT AS v", clean: 30_000 },
      {
        make: "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        see: "SELECT CAST(transaction_isolation_level AS INT) AS v FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
        clean: 2
      },
      {
        make: "EXEC sp_set_session_context N'leftover', N'seen'",
        see: "SELECT CAST(SESSION_CONTEXT(N'leftover') AS NVARCHAR(10)) AS v",
        clean: null
      },
      {
        make: "EXEC sp_getapplock @Resource = N'leftover', @LockMode = 'Exclusive', @LockOwner = 'Session'",
        see:
          "SELECT COUNT(*) AS v FROM sys.dm_tran_locks WHERE resource_type = N'APPLICATION' AND request_session_id = @@SPID",
        clean: 0
      }
    ],
    // SQL Server checks every constraint at once.
    deferred: undefined
  },
  connections: (options) =>
    Effect.map(
      mssqlQuery(
        databases.get(String(options.url))!,
        "SELECT COUNT(*) AS n FROM sys.dm_exec_sessions WHERE is_user_process = 1 AND database_id = DB_ID() AND session_id <> @@SPID"
      ),
      ([row]) => Number(row?.["n"])
    )
}

conformance(mssql, 2_000, 50)
