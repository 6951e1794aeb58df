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
    sessionState: [
      { change: "CREATE TABLE #leftover (v INT)", read: "SELECT v FROM #leftover", initial: "UndefinedObject" },
      { change: "SET LOCK_TIMEOUT 4711", read: "SELECT @@LOCK_TIMEOUT AS v", initial: 30_000 },
      {
        change: "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        read:
          "SELECT CAST(transaction_isolation_level AS INT) AS v FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
        initial: 2
      },
      {
        change: "EXEC sp_set_session_context N'leftover', N'seen'",
        read: "SELECT CAST(SESSION_CONTEXT(N'leftover') AS NVARCHAR(10)) AS v",
        initial: null
      },
      {
        change: "EXEC sp_getapplock @Resource = N'leftover', @LockMode = 'Exclusive', @LockOwner = 'Session'",
        read:
          "SELECT COUNT(*) AS v FROM sys.dm_tran_locks WHERE resource_type = N'APPLICATION' AND request_session_id = @@SPID",
        initial: 0
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
