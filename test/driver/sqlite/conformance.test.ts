/** The suites that every driver passes, with statements in processes of their own. */
import * as Effect from "effect/Effect"
import { errors } from "../../suites/errors.js"
import { leaks } from "../../suites/leaks.js"
import { sessions } from "../../suites/sessions.js"
import { streams } from "../../suites/streams.js"
import { describe, type Target } from "../../suites/target.js"
import { transactions } from "../../suites/transactions.js"
import { file } from "./harness.js"

const target: Target = {
  name: "sqlite with workers",
  describe,
  fresh: Effect.map(file, (filename) => ({
    type: "sqlite" as const,
    filename,
    workers: 4,
    // Each connection starts a process, which takes its time where much else runs.
    pool: { acquireTimeout: "25 seconds", connectTimeout: "20 seconds" }
  })),
  sql: {
    id: "INTEGER PRIMARY KEY",
    text: "TEXT",
    bigint: "INTEGER",
    series: (n) =>
      `WITH RECURSIVE s (x) AS (SELECT 1 WHERE ${n} > 0 UNION ALL SELECT x + 1 FROM s WHERE x < ${n}) SELECT x FROM s`,
    endless: "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    sessionState: [
      {
        change: "CREATE TEMP TABLE leftover AS SELECT 1 AS v",
        read: "SELECT v FROM leftover",
        initial: "UndefinedObject"
      },
      { change: "PRAGMA foreign_keys = OFF", read: "SELECT foreign_keys AS v FROM pragma_foreign_keys", initial: 1 }
    ],
    deferred: {
      parent: "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
      child: "CREATE TABLE child (parent_id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
      insert: "INSERT INTO child VALUES (7)"
    }
  },
  connections: undefined
}

describe(target.name, () => {
  sessions(target)
  transactions(target)
  streams(target)
  errors(target)
  // Fewer than over the other drivers: a process that is stopped takes its time to start again.
  leaks(target, 500)
})
