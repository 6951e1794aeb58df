/**
 * The lock of migrations on a SQLite file. Each migration has an exclusive transaction of its own; what must be held
 * across them, and around those that run without one, is a write transaction on a second file beside the database
 * (`<file>-migrate`): the operating system frees it when the process dies, however it dies.
 */
import * as Effect from "effect/Effect"
import * as Os from "node:os"
import { loadAny } from "../driver/sqlite/module.js"
import type { Database } from "../driver/sqlite/moduleContract.js"
import type { Attempt, Lock } from "./lockContract.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError } from "./MigrationError.js"

/** Waits for readers of the holder's name only, which are done in microseconds. */
const patience = 2_000

const isBusy = (error: unknown): boolean =>
  // They have the name of SQLite's code.
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" &&
  error.code.startsWith("SQLITE_BUSY")

/** Tries, and says `false` when another runner has it. */
const begin = (db: Database): boolean => {
  try {
    db.pragma("busy_timeout = 0")
    db.exec("BEGIN IMMEDIATE")
    return true
  } catch (error) {
    if (isBusy(error)) {
      return false
    }
    throw error
  } finally {
    db.pragma(`busy_timeout = ${patience}`)
  }
}

const nameIn = (db: Database): string | undefined =>
  // The table is made below.
  (db.prepare("SELECT name FROM holder").get() as { readonly name: string } | undefined)?.name

/** The holder of the lock, by the name that it wrote down. */
const holder = (db: Database): string => {
  try {
    return nameIn(db) ?? "another process"
  } catch {
    // The table is being made at this moment.
    return "another process"
  }
}

/**
 * Takes the lock and leaves the holder's name where waiting runners can read it: it is committed first, so that the
 * lock is released for a moment, and the name is written again when another runner came in between.
 */
const attempt = (db: Database, name: string): Attempt => {
  while (true) {
    if (!begin(db)) {
      return { held: false, holder: holder(db) }
    }
    db.exec("CREATE TABLE IF NOT EXISTS holder (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    if (nameIn(db) === name) {
      return { held: true }
    }
    try {
      db.prepare("INSERT OR REPLACE INTO holder VALUES (1, ?)").run([name])
      db.exec("COMMIT")
    } catch (error) {
      db.exec("ROLLBACK")
      if (!isBusy(error)) {
        throw error
      }
    }
  }
}

const failure = (database: string, path: string) => (cause: unknown): MigrationError =>
  Errors.make({
    reason: "Permission",
    database,
    problem: `the lock file ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
    advice: "let this user write the file and its folder, as it must write the database beside it",
    cause
  })

let count = 0

/** The lock of the database in `file`. */
export const make = (file: string, database: string): Lock => {
  const path = `${file}-migrate`
  const name = `process ${process.pid} on ${Os.hostname()}, since ${new Date().toISOString()} (${++count})`
  let db: Database | undefined
  const open = Effect.suspend(() =>
    db !== undefined ? Effect.succeed(db) : Effect.tryPromise({
      // Loaded here, because a program on another database need not have it.
      try: async () => {
        const { Database } = await loadAny(database)
        return db = new Database(path, { timeout: patience })
      },
      catch: failure(database, path)
    })
  )
  return {
    attempt: Effect.flatMap(open, (db) =>
      Effect.try({
        try: () => attempt(db, name),
        catch: failure(database, path)
      })).pipe(
        // Waiters keep no file open: one that is never granted has no finalizer.
        Effect.tap((result) => result.held ? Effect.void : close(() => db, () => db = undefined)),
        Effect.tapError(() => close(() => db, () => db = undefined))
      ),
    release: close(() => db, () => db = undefined)
  }
}

const close = (get: () => Database | undefined, forget: () => void): Effect.Effect<void> =>
  Effect.sync(() => {
    // Closing ends the transaction. It cannot fail on an open handle without running statements.
    get()?.close()
    forget()
  })
