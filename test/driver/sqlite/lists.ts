/**
 * Lists of statements on their way to a process that is going to be killed, and what must be true of their file then.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { Db } from "../../../src/Db.js"
import type { Outcome } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import * as Sqlite from "../../../src/driver/Sqlite.js"
import { Database } from "../../kit/sqlite.js"

/** How many statements a list has: more than are sent in one round trip. */
export const length = 300

/** Each row fills most of a page, or several: the more there is to be written, the longer COMMIT can be caught at it. */
export const list = (id: number, bytes = 3000) =>
  Array.from({ length }, (_, n) => [`INSERT INTO t VALUES (?, ?, randomblob(${bytes}))`, [id, n]] as const)

export const table = Db.query("CREATE TABLE t (id INTEGER, n INTEGER, filler BLOB)")

/** Has the next transaction find an empty WAL, so that the size of that file tells how far it is. */
export const emptyWal = Db.query("PRAGMA wal_checkpoint(TRUNCATE)")

/** The size of a file's WAL; 0 when there is none. */
export const walSize = (filename: string): number =>
  Fs.statSync(`${filename}-wal`, { throwIfNoEntry: false })?.size ?? 0

/**
 * A database whose statements run in a process of their own; `opened` is told of each connection, whose id is that of its
 * process. With a cache this small the rows go to the WAL as they come; else at COMMIT.
 */
export const database = (
  filename: string,
  cache: "small" | "large",
  opened: (connection: Connection) => void
) =>
  Db.layerDriver({
    type: "sqlite",
    filename,
    workers: 1,
    environment: "production",
    // A process that was killed is found out before it is asked for anything.
    pool: { validateAfter: 0, connectTimeout: "30 seconds", acquireTimeout: "30 seconds" },
    settings: cache === "small" ? { cache_size: "10" } : {}
  }, (config) =>
    Effect.map(Sqlite.make(config), (driver) => ({
      ...driver,
      open: Effect.tap(driver.open, (connection) => Effect.sync(() => opened(connection)))
    })))

/** Whether another program sees a list in the file. */
export const isCommitted = (filename: string, id: number): boolean => {
  const db = new Database(filename, { readonly: true })
  try {
    return db.prepare("SELECT 1 FROM t WHERE id = ?").get(id) !== undefined
  } finally {
    db.close()
  }
}

/** What is wrong with a file, of whose lists the program was told this; and which lists it holds. */
export const judge = (
  filename: string,
  told: ReadonlyMap<number, "done" | Outcome>
): { readonly faults: ReadonlyArray<string>; readonly kept: ReadonlySet<number> } => {
  const db = new Database(filename)
  try {
    const rows = db.prepare(`SELECT id, count(*) AS n, count(DISTINCT n) AS "distinct" FROM t GROUP BY id`)
      .all() as Array<{ readonly id: number; readonly n: number; readonly distinct: number }>
    const kept = new Set(rows.map(({ id }) => id))
    const partial = rows.filter((row) => row.n !== length || row.distinct !== length)
    const lists = [...told]
    return {
      faults: [
        ...(db.prepare("PRAGMA integrity_check").pluck().all() as Array<string>).filter((line) => line !== "ok"),
        ...partial.map(({ distinct, id, n }) => `list ${id}: ${n} rows, ${distinct} of them different`),
        ...lists.filter(([id, what]) => what === "done" && !kept.has(id)).map(([id]) => `list ${id}: done, and lost`),
        ...lists.filter(([id, what]) => (what === "RolledBack" || what === "NotSent") && kept.has(id))
          .map(([id, what]) => `list ${id}: ${what}, and there`)
      ],
      kept
    }
  } finally {
    db.close()
  }
}
