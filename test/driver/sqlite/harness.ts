/** The SQLite driver, and a process that holds locks on its files. */
import type { SqlClient } from "@effect/sql"
import type { SqliteClient } from "@effect/sql-sqlite-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import type { DbConfig } from "../../../src/DbConfig.js"
import { type DbError, toSqlError } from "../../../src/DbError.js"
import type { Connection, Cursor, Done, Driver, Fetched, Request, ResetPolicy } from "../../../src/driver/Driver.js"
import * as Sqlite from "../../../src/driver/Sqlite.js"
import { type Changes, dbConfig } from "../../kit/dbConfig.js"
import { moduleName } from "../../kit/sqlite.js"

/** A configuration of a database in memory, unless the changes name a file. */
export const config = (changes: Changes): DbConfig =>
  dbConfig({ type: "sqlite", filename: ":memory:", limits: { lockTimeout: "30 seconds" } }, changes)

/** A folder of its own, removed with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "dblive-sqlite-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** The name of a file that is not there yet. */
export const file: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  folder,
  (path) => Path.join(path, "db.sqlite")
)

export const make = (changes: Changes): Effect.Effect<Driver, DbError, Scope.Scope> => Sqlite.make(config(changes))

/** A connection, closed with the scope. */
export const connect = (driver: Driver): Effect.Effect<Connection, DbError, Scope.Scope> =>
  Effect.acquireRelease(
    driver.open,
    (connection) => Effect.async<void>((resume) => connection.close(() => resume(Effect.void)))
  )

/** One connection of a driver of its own. */
export const single = (changes: Changes): Effect.Effect<Connection, DbError, Scope.Scope> =>
  Effect.flatMap(make(changes), connect)

export const request = (text: string, params: ReadonlyArray<unknown> = [], more: Partial<Request> = {}): Request => ({
  text,
  params,
  mode: "rows",
  prepare: true,
  begin: undefined,
  statementTimeout: undefined,
  lockTimeout: undefined,
  safeIntegers: false,
  ...more
})

/** An effect of a callback. */
export const once = <A>(f: (done: Done<A>) => void): Effect.Effect<A, DbError> =>
  Effect.async<A, DbError>((resume) =>
    f((error, value) => resume(error === undefined ? Effect.succeed(value) : Effect.fail(error)))
  )

export const execute = (
  connection: Connection,
  text: string,
  params: ReadonlyArray<unknown> = [],
  more: Partial<Request> = {}
): Effect.Effect<ReadonlyArray<Record<string, unknown>>, DbError> =>
  Effect.map(
    once<unknown>((done) => connection.execute(request(text, params, more), done)),
    (answer) => answer as ReadonlyArray<Record<string, unknown>>
  )

export const openCursor = (
  connection: Connection,
  text: string,
  params: ReadonlyArray<unknown> = [],
  more: Partial<Request> = {}
): Effect.Effect<Cursor, DbError> => once<Cursor>((done) => connection.openCursor(request(text, params, more), done))

/** As a plain object, to be compared with one. */
export const fetch = (cursor: Cursor, count: number) =>
  Effect.map(once<Fetched>((done) => cursor.fetch(count, done)), ({ done, rows }) => ({ rows, done }))

/** All that is left of a cursor. */
export const drain = (cursor: Cursor, count = 100): Effect.Effect<ReadonlyArray<unknown>, DbError> =>
  Effect.gen(function*() {
    const rows: Array<unknown> = []
    for (;;) {
      const batch = yield* fetch(cursor, count)
      rows.push(...batch.rows)
      if (batch.done) {
        return rows
      }
    }
  })

export const reset = (connection: Connection, policy: ResetPolicy = "rollback"): Effect.Effect<void, DbError> =>
  once<void>((done) => connection.reset(policy, done))

export const cancel = (connection: Connection): Effect.Effect<void, DbError> =>
  once<void>((done) => connection.cancel(done))

export const ping = (connection: Connection): Effect.Effect<void, DbError> =>
  once<void>((done) => connection.ping(done))

const require = createRequire(import.meta.url)

/** A line that a process writes. */
const line = (child: ChildProcess): Effect.Effect<string, Error> =>
  Effect.async<string, Error>((resume) => {
    child.stdout!.once("data", (chunk) => resume(Effect.succeed(String(chunk).trim())))
    child.once("error", (error) => resume(Effect.fail(error)))
    child.once("exit", (code) => resume(Effect.fail(new Error(`the process ended with ${code}`))))
  })

const holder = `
  const module = require(process.argv[1])
  const db = new (module.DatabaseSync ?? module)(process.argv[2])
  db.exec("PRAGMA journal_mode = " + process.argv[3])
  db.exec(process.argv[4])
  console.log("held")
  process.stdin.once("data", () => { db.exec(process.argv[5]); db.close(); console.log("released"); process.exit() })
  process.stdin.once("end", () => process.exit())
`

/** Another process that holds a lock. */
export interface Lock {
  /** Has it run its last statement and end. */
  readonly release: Effect.Effect<void, Error>
}

/** Has another process run `sql` on the file, and wait. */
export const lock = (
  filename: string,
  sql: string,
  options: { readonly journal?: string; readonly atEnd?: string } = {}
): Effect.Effect<Lock, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [
        "-e",
        holder,
        moduleName.startsWith("node:") ? "node:sqlite" : require.resolve("better-sqlite3"),
        filename,
        options.journal ?? "WAL",
        sql,
        options.atEnd ?? "ROLLBACK"
      ], { stdio: ["pipe", "pipe", "inherit"], env: { PATH: process.env["PATH"] } })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  ).pipe(Effect.flatMap((child) =>
    Effect.as(line(child), {
      release: Effect.suspend(() => {
        child.stdin.write("go\n")
        return Effect.asVoid(line(child))
      })
    })
  ))

/** How many turns the event loop makes while an effect runs. */
export const turns = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.suspend(() => {
    let count = 0
    let ended = false
    const turn = () => {
      count++
      if (!ended) {
        setImmediate(turn)
      }
    }
    setImmediate(turn)
    return effect.pipe(
      Effect.map((value) => [value, count] as const),
      Effect.ensuring(Effect.sync(() => {
        ended = true
      }))
    )
  })

/** Asks until the answer is yes, for what happens in another process. At most 10 seconds. */
export const eventually = (ask: () => boolean): Effect.Effect<void, Error> =>
  Effect.async<void, Error>((resume) => {
    const limit = Date.now() + 10_000
    const timer = setInterval(() => {
      if (ask()) {
        clearInterval(timer)
        resume(Effect.void)
      } else if (Date.now() > limit) {
        clearInterval(timer)
        resume(Effect.fail(new Error("it did not happen within 10 seconds")))
      }
    }, 5)
    return Effect.sync(() => clearInterval(timer))
  })

/** The two ways in which statements run: here, and in a process of their own. */
export const places: ReadonlyArray<readonly [name: string, workers: number]> = [
  ["in this process", 0],
  ["in a process of its own", 1]
]

/** The driver, a connection of it, and its client, which lends that connection. */
export const openClient = (changes: Changes) =>
  Effect.gen(function*() {
    const driver = yield* make(changes)
    const connection = yield* connect(driver)
    const services = yield* driver.services({
      // A function of its own: of the engine's client only its identity matters here.
      client: (() => {}) as unknown as SqlClient.SqlClient,
      database: "default",
      connection: Effect.mapError(Effect.succeed(connection), toSqlError)
    })
    const client = Context.unsafeGet(services as Context.Context<SqliteClient.SqliteClient>, Sqlite.SqliteClient)
    return { driver, connection, client }
  })
