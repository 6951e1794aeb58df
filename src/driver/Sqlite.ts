/**
 * SQLite, by `better-sqlite3` or by Node's own `node:sqlite`.
 *
 * **Which module.** `better-sqlite3` where it is installed and its binary can be loaded; else `node:sqlite`, which Node has from
 * 24.16 on (of 26 from 26.1 on). Where the package is installed without a binary, a warning says so once. The setting `sqliteModule` asks for one of them, and `Db.info` tells which is open. On Node 24.19
 * and later `better-sqlite3` has to be 13, before Node 22 it has to be 12: another one is refused before it is loaded.
 *
 * **Where statements run.** In this process, on the event loop, as fast as SQLite is; or, with `workers`, in processes
 * of their own, where a statement that runs too long can be stopped.
 *
 * **Values.**
 *
 * | SQLite | JavaScript |
 * |---|---|
 * | INTEGER | `number`, beyond 2^53 `bigint`; always `bigint` with `SafeIntegers` |
 * | REAL | `number` |
 * | TEXT | `string` |
 * | BLOB | `Buffer` |
 * | NULL | `null` |
 *
 * Parameters are these, and `boolean` (1 and 0), `Date` (ISO 8601 text in UTC, as `Date.toISOString` writes it),
 * `Uint8Array` and `ArrayBuffer`. A whole `number` within ±(2^53 - 1) and a `bigint` are bound as INTEGER, any other `number` (-0 too)
 * as REAL; the column's affinity then decides what is stored. What SQLite cannot hold is refused with a
 * `QueryError` of reason `Parameter`: `undefined`, NaN (SQLite would store NULL), a bigint beyond 64 bits, text with half
 * of a surrogate pair, an invalid date, any other object.
 *
 * **Locks.** A statement that meets another connection's lock is repeated until `limits.lockTimeout` (30 seconds), and the
 * event loop goes on meanwhile. A transaction that has read already does not wait to write: its snapshot may be outdated.
 *
 * **Several statements in one text** run as one transaction, and give an array with the rows of each; unless one of them
 * cannot be part of a transaction, or ends one. They take no parameters.
 *
 * **A file that is removed or replaced while it is open** is noticed when a connection is validated, and at the latest by the
 * health check: all connections are lost (`ConnectionError` of reason `Lost`), and the file that is there now is opened. Where
 * there is none, opening fails with reason `CannotOpen`: it is created for a program that starts, not in the place of one that was lost.
 *
 * **REGEXP** takes JavaScript's regular expressions, with the flag `u`.
 *
 * **Names of constraints.** A `UniqueViolation` names the index where CREATE UNIQUE INDEX made one, else the columns
 * (`note.body`): SQLite keeps no other name.
 *
 * @since 0.1.0
 */
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { DbConfig } from "../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../DbError.js"
import * as FamilyClient from "../internal/driver/FamilyClient.js"
import { notLoaded } from "../internal/driver/packages.js"
import { services, SqliteClient } from "../internal/driver/sqlite/client.js"
import { connectionFault, Fault } from "../internal/driver/sqlite/codes.js"
import { SqliteConnection } from "../internal/driver/sqlite/connection.js"
import { toError, toOpenError } from "../internal/driver/sqlite/errors.js"
import { DatabaseFile } from "../internal/driver/sqlite/file.js"
import { Handle, type Shared } from "../internal/driver/sqlite/handle.js"
import { check, load } from "../internal/driver/sqlite/module.js"
import type { Constructor } from "../internal/driver/sqlite/moduleContract.js"
import { open, type Spec } from "../internal/driver/sqlite/open.js"
import { openRemote } from "../internal/driver/sqlite/remoteOpen.js"
import { leftBehind } from "../internal/driver/sqlite/text.js"
import type * as Driver from "./Driver.js"

export {
  /**
   * `SqliteClient` of `@effect/sql-sqlite-node`: the database's client with `export`, `backup` and `loadExtension`. The tag is made
   * by its key, so that the package itself is not needed at run time.
   *
   * @since 0.1.0
   * @category tags
   */
  SqliteClient
} from "../internal/driver/sqlite/client.js"

/** SQLite knows one level, which is at least as strict as each of these. */
const isolationLevels: ReadonlyArray<Driver.IsolationLevel> = [
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
  "snapshot"
]

const transaction: Driver.TransactionSql = {
  // IMMEDIATE takes the write lock first: a transaction that reads and then writes can otherwise find, when it writes,
  // that its snapshot is outdated (SQLITE_BUSY_SNAPSHOT).
  begin: (options) => options.readOnly === true ? "BEGIN" : "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  savepoint: (name) => `SAVEPOINT ${name}`,
  rollbackTo: (name) => `ROLLBACK TO ${name}`,
  release: (name) => `RELEASE ${name}`
}

const notOpened = (database: string) => (cause: unknown): ConnectionError | TimeoutError =>
  cause instanceof Fault ? toOpenError(cause) : notLoaded(database, "sqlite")(cause)

/** Which module there is to be loaded is the same for all databases of the program. */
let isWarned = false

/** Says once that an installed better-sqlite3 was not what could be loaded. */
const warn = (spec: Spec, { passedOver }: Shared): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (passedOver === undefined || isWarned) {
      return Effect.void
    }
    isWarned = true
    return Effect.annotateLogs(Effect.logWarning(passedOver), { database: spec.database })
  })

/** Loads the module that opens the file here. */
const loadHere = (spec: Spec, shared: Shared): Effect.Effect<Constructor, ConnectionError | TimeoutError> =>
  Effect.flatMap(
    Effect.tryPromise({ try: () => load(spec.module, spec.database), catch: notOpened(spec.database) }),
    ({ Database, name, passedOver }) => {
      shared.module = name
      shared.passedOver = passedOver
      return Effect.as(warn(spec, shared), Database)
    }
  )

/** Where the file is opened elsewhere: the process loads the module; what cannot run there is known before it is started. */
const checkElsewhere = (spec: Spec): Effect.Effect<void, ConnectionError | TimeoutError> =>
  Effect.suspend(() => {
    const refused = check(spec.module, spec.database)
    return refused === undefined ? Effect.void : Effect.fail(toOpenError(refused))
  })

const specOf = (config: DbConfig, image: Uint8Array | undefined): Spec => ({
  database: config.name,
  filename: config.filename ?? ":memory:",
  module: config.sqliteModule,
  readOnly: config.access === "read-only",
  settings: config.settings,
  prepareCacheSize: config.prepareCacheSize,
  lockTimeout: config.limits.lockTimeout,
  connectTimeout: config.pool.connectTimeout,
  image
})

const openHere = (spec: Spec, shared: Shared, Database: Constructor): Driver.Driver["open"] =>
  Effect.async((resume) => {
    const connected = (handle: Handle) =>
      resume(Effect.succeed(new SqliteConnection<DbError>(handle, spec, shared, toError, false)))
    if (shared.memory !== undefined) {
      return connected(shared.memory)
    }
    const abandon = open(Database, { ...spec, mustExist: shared.file.existed }, (fault, db) => {
      if (fault !== undefined) {
        return resume(Effect.fail(toOpenError(fault)))
      }
      const handle = new Handle(db!)
      shared.live.add(handle)
      if (spec.filename === ":memory:") {
        shared.memory = handle
      }
      connected(handle)
    })
    return Effect.sync(abandon)
  })

const openElsewhere = (spec: Spec, shared: Shared): Driver.Driver["open"] =>
  Effect.async((resume) => {
    const abandon = openRemote(spec, shared, (error, connection) =>
      // An interrupt leaves no connection behind.
      resume(
        error === undefined ? Effect.uninterruptible(Effect.as(warn(spec, shared), connection!)) : Effect.fail(error)
      ))
    return Effect.sync(abandon)
  })

/** What SQLite can do, in this process or in processes of its own. */
const capabilities = (isElsewhere: boolean, isInMemory = false): Driver.Capabilities => ({
  synchronous: !isElsewhere,
  singleWriter: true,
  cancel: isElsewhere && !isInMemory,
  serverLimits: false,
  pipelinedBegin: true,
  resolveCommit: false,
  savepoints: true,
  transactionalDdl: true,
  isolationLevels,
  readOnlyTransactions: "database",
  deferrable: false,
  deferredConstraints: true,
  createDatabase: true,
  listen: false
})

const unsupported = (spec: Spec, what: string, advice: string) =>
  toOpenError(connectionFault({ database: spec.database }, { reason: "Unsupported", outcome: "NotSent", what, advice }))

/**
 * Opens the SQLite driver.
 *
 * With `workers: 0` statements run in this process. With `workers: n` each connection has a process of its own, and at
 * most `n` of them: processes, because a thread inside SQLite cannot be stopped, and a process can.
 *
 * Fails with a `ConnectionError` of reason `Unsupported` when a statement limit is configured that could not be kept
 * (in this process, and for `:memory:`, which would be lost with the process), when `better-sqlite3` is not installed and
 * Node has no `node:sqlite`, and when the installed `better-sqlite3` would end the process.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Driver.Make<DbConfig> = (config) => makeFrom(undefined)(config)

/**
 * {@link make}, with a database in memory that begins as a copy: of the bytes of a file, as `SqliteClient.export` gives them. A
 * database in a file begins as that file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFrom = (
  image: Uint8Array | undefined
): Driver.Make<DbConfig> =>
  Effect.fnUntraced(function*(config: DbConfig) {
    const spec = specOf(config, image)
    const isInMemory = spec.filename === ":memory:"
    const isElsewhere = config.workers > 0
    if (config.limits.statementTimeout > 0 && !isElsewhere) {
      return yield* unsupported(
        spec,
        "a statement limit cannot be kept while SQLite runs in this process",
        "set workers to 1 or more, or limits.statementTimeout to 0"
      )
    }
    if (config.limits.statementTimeout > 0 && isInMemory) {
      return yield* unsupported(
        spec,
        `the statement limit of ${config.limits.statementTimeout} ms cannot be kept for an in-memory database: to ` +
          "stop a statement is to end its process, and the database would be lost with it",
        "use a file, set workers to 0, or set limits.statementTimeout to 0"
      )
    }
    const file = new DatabaseFile(spec.database, spec.filename)
    const shared: Shared = {
      extensions: [],
      live: new Set(),
      file,
      memory: undefined,
      process: undefined,
      module: undefined,
      passedOver: undefined
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => shared.live.forEach((one) => one.kill())))
    if (isElsewhere) {
      yield* checkElsewhere(spec)
    }
    const open = isElsewhere ? openElsewhere(spec, shared) : openHere(spec, shared, yield* loadHere(spec, shared))
    const driver: Driver.Driver = {
      dialect: "sqlite",
      target: {
        system: "sqlite",
        namespace: spec.filename,
        address: undefined,
        port: undefined,
        uri: isInMemory ? "sqlite::memory:" : `sqlite:${spec.filename}`
      },
      capabilities: capabilities(isElsewhere, isInMemory),
      leftBehind,
      compiler: Statement.makeCompilerSqlite(config.transformQueryNames),
      transformRows: config.transformResultNames === undefined
        ? undefined
        : Statement.defaultTransforms(config.transformResultNames).array,
      transaction,
      module: () => shared.module,
      open,
      // As it is compiled by all that compile it (SQLITE_MAX_VARIABLE_NUMBER).
      mostParameters: 32_766,
      intact: () => {
        const fault = file.check()
        // The check of a file makes no other error.
        return fault && toOpenError(fault)
      },
      maxConnections: isInMemory ? 1 : isElsewhere ? config.workers : undefined,
      transactionId: undefined,
      commitStatus: undefined,
      services: services(config, spec)
    }
    return driver
  })

/**
 * Says in the type of a layer that its database is SQLite, so that `SqliteClient` may be asked for. Fails with
 * `ConnectionError` reason `Unsupported` when the database turns out to be another.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { DbLive } from "dblive"
 * import * as Sqlite from "dblive/sqlite"
 *
 * const program = Effect.flatMap(Sqlite.SqliteClient, (sql) => sql.backup("copy.db"))
 *
 * program.pipe(Effect.provide(DbLive.pipe(Sqlite.withClient)), Effect.runPromise)
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const withClient: <ROut, E, RIn>(
  layer: Layer.Layer<ROut, E, RIn>
) => Layer.Layer<ROut | SqliteClient, E | ConnectionError, RIn> = FamilyClient.withClient(
  SqliteClient,
  "Sqlite.withClient"
)
