import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { conformance } from "../suites/conformance.js"
import { rows } from "../suites/rows.js"
import { describe, type Target } from "../suites/target.js"
import { transactionScope } from "../suites/transactionScope.js"

const sqlite: Target = {
  name: "sqlite",
  describe,
  fresh: Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "dblive-" })).pipe(
    Effect.map((folder) => ({ type: "sqlite" as const, filename: `${folder}/test.db` })),
    Effect.orDie,
    Effect.provide(NodeContext.layer)
  ),
  singleWriter: true,
  sql: {
    id: "INTEGER PRIMARY KEY",
    text: "TEXT",
    bigint: "INTEGER",
    series: (n) =>
      `WITH RECURSIVE s (x) AS (SELECT 1 WHERE ${n} > 0 UNION ALL SELECT x + 1 FROM s WHERE x < ${n}) SELECT x FROM s`,
    endless: undefined,
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

conformance(sqlite, 10_000)

// Statements wait for another process there, as for a server.
describe("sqlite in worker processes", () => {
  const workers: Target = {
    ...sqlite,
    name: "sqlite in worker processes",
    outsideWaits: true,
    fresh: Effect.map(sqlite.fresh, (options) => ({ ...options, workers: 2 }))
  }
  transactionScope(workers, 50)
  rows(workers)
})
