/**
 * No database at all: answers as they are told.
 */
import * as Statement from "@effect/sql/Statement"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { Db } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import { type ConnectionError, type DbError, isDbError, type QueryError, queryReasons } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { failure } from "../driver/failure.js"
import { compiler as compilerPg } from "../driver/pg/compiler.js"
import { classify, head, wordSet } from "../sql/classify.js"
import { Delegate, FailTransaction, isControl } from "./decorate.js"
import { type Expectation, type MockAnswer, Script } from "./expectations.js"
import { pool, type Provides, type Target, targetOf } from "./prepare.js"
import { watched } from "./watch.js"

/**
 * Options of a mock.
 *
 * @since 0.1.0
 * @category models
 */
export interface MockOptions<Self = Db, Provided = Provides> {
  /** The database's tag. Defaults to `Db`. */
  readonly database?: Target<Self, Provided> | undefined
  /** How statements are written. Defaults to `sqlite`. */
  readonly dialect?: "sqlite" | "pg" | undefined
  /** Whether the database answers a ping: for tests of health checks. Defaults to true. */
  readonly health?: boolean | (() => boolean) | undefined
}

/**
 * A mock got a statement that it did not expect, or did not get one that it did: the error that fails the test.
 *
 * @since 0.1.0
 * @category errors
 */
export class MockError extends Error {
  override readonly name = "MockError"
}

let ids = 0

const reading = wordSet("select values with explain show")

class MockConnection implements Driver.Connection {
  readonly id = ++ids
  readonly serverVersion = "mock"
  transaction: Driver.TransactionStatus = "idle"
  dirty = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined

  constructor(
    private readonly driver: () => Driver.Driver,
    private readonly database: string,
    private readonly script: Script,
    private readonly isHealthy: () => boolean
  ) {}

  [FailTransaction](): void {
    this.transaction = "failed"
  }

  execute(request: Driver.Request, done: Driver.Done<unknown>): void {
    const answer = this.answer(request)
    if (isDbError(answer)) {
      return done(answer, undefined)
    }
    const rows = answer.rows ?? []
    const isReading = this.reads(request.text)
    const affected = answer.affected ?? rows.length
    switch (request.mode) {
      case "rows":
      case "sets":
        return done(undefined, rows)
      case "values":
        return done(undefined, rows.map((row) => Object.values(row)))
      case "result":
        return done(
          undefined,
          {
            rows,
            rowsAffected: answer.affected ?? (isReading ? 0 : rows.length),
            lastInsertId: answer.lastInsertId
          } satisfies Driver.StatementResult
        )
      case "raw":
        return done(
          undefined,
          this.driver().dialect === "pg"
            ? { command: request.text.trim().split(/\s/)[0]?.toUpperCase(), rowCount: affected, rows }
            : { changes: affected, lastInsertRowid: answer.lastInsertId ?? 0 }
        )
    }
  }

  openCursor(request: Driver.Request, done: Driver.Done<Driver.Cursor>): void {
    const answer = this.answer(request)
    if (isDbError(answer)) {
      // The value beside an error is never read.
      return done(answer, undefined as never)
    }
    const rows = [...answer.rows ?? []]
    done(undefined, {
      interleaves: true,
      fetch: (count, fetched) => fetched(undefined, { rows: rows.splice(0, count), done: rows.length === 0 }),
      close: (closed) => closed(undefined, undefined)
    })
  }

  ping(done: Driver.Done<void>): void {
    done(this.lost || !this.isHealthy() ? this.lostError() : undefined, undefined)
  }

  reset(_policy: Driver.ResetPolicy, done: Driver.Done<void>): void {
    this.transaction = "idle"
    done(undefined, undefined)
  }

  cancel(done: Driver.Done<void>): void {
    done(undefined, undefined)
  }

  close(done: Driver.Done<void>): void {
    this.lost = true
    done(undefined, undefined)
  }

  destroy(): void {
    this.lost = true
  }

  writes(text: string): boolean {
    return !this.reads(text)
  }

  private reads(text: string): boolean {
    return reading.has(head(text, this.driver().dialect, 1)[0] ?? "")
  }

  private answer(request: Driver.Request): MockAnswer | DbError {
    if (this.lost) {
      return this.lostError()
    }
    if (request.begin !== undefined) {
      this.control(request.begin)
    }
    if (isControl(this.driver(), request.text)) {
      return this.control(request.text)
    }
    if (this.transaction === "failed") {
      return this.queryError(request.text, {
        reason: "TransactionAborted",
        what: "the transaction has failed before this statement"
      })
    }
    const answer = this.script.take(request)
    if (typeof answer === "string") {
      return this.queryError(request.text, { reason: "Unknown", what: answer, outcome: "NotSent" })
    }
    const { error } = answer
    if (error === undefined) {
      return answer
    }
    if (isDbError(error)) {
      this.lost = error._tag === "ConnectionError"
      this.failed()
      return error
    }
    this.failed()
    return this.queryError(request.text, { ...error, what: queryReasons[error.reason].meaning })
  }

  /** A server refuses what follows a failed statement; SQLite does not. */
  private failed(): void {
    if (this.transaction === "open" && this.driver().dialect === "pg") {
      this.transaction = "failed"
    }
  }

  private control(text: string): MockAnswer | DbError {
    const { dialect } = this.driver()
    const { control } = classify(text, dialect)
    const wasFailed = this.transaction === "failed"
    if (control === "begin") {
      this.transaction = "open"
    } else if (control === "commit" || control === "rollback") {
      this.transaction = "idle"
      if (wasFailed && control === "commit") {
        return this.queryError(text, { reason: "TransactionAborted", what: "COMMIT was answered with ROLLBACK" })
      }
    } else if (head(text, dialect, 1)[0] === "ROLLBACK") {
      this.transaction = "open"
    }
    return {}
  }

  private queryError(
    statement: string,
    fields: Pick<QueryError, "reason" | "what"> & Partial<Pick<QueryError, "outcome">>
  ): QueryError {
    return failure({
      _tag: "QueryError",
      outcome: "RolledBack",
      ...fields,
      what: `${fields.what} (a mock)`,
      database: this.database,
      statement
    })
  }

  private lostError(): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Lost",
      what: "the connection is gone (a mock)",
      outcome: "NotSent",
      database: this.database
    })
  }
}

/** What a database can do that is not there: everything, and at once. */
export const capabilities: Driver.Capabilities = {
  synchronous: true,
  singleWriter: false,
  cancel: true,
  serverLimits: false,
  pipelinedBegin: true,
  resolveCommit: false,
  savepoints: true,
  transactionalDdl: true,
  isolationLevels: ["read uncommitted", "read committed", "repeatable read", "serializable"],
  readOnlyTransactions: "database",
  deferrable: true,
  deferredConstraints: true,
  createDatabase: true,
  listen: false
}

/** How one is told of transactions. */
export const transaction: Driver.TransactionSql = {
  begin: ({ deferrable, isolation, readOnly }) =>
    [
      "BEGIN",
      ...(isolation === undefined ? [] : [`ISOLATION LEVEL ${isolation.toUpperCase()}`]),
      ...(readOnly === undefined ? [] : [readOnly ? "READ ONLY" : "READ WRITE"]),
      ...(deferrable === undefined ? [] : [deferrable ? "DEFERRABLE" : "NOT DEFERRABLE"])
    ].join(" "),
  commit: "COMMIT",
  rollback: "ROLLBACK",
  savepoint: (name) => `SAVEPOINT ${name}`,
  rollbackTo: (name) => `ROLLBACK TO ${name}`,
  release: (name) => `RELEASE ${name}`
}

const makeDriver = (
  config: DbConfig.DbConfig,
  script: Script,
  options: Pick<MockOptions<never, never>, "dialect" | "health">
): Driver.Driver => {
  const { dialect = "sqlite", health = true } = options
  const isHealthy = typeof health === "function" ? health : () => health
  const driver: Driver.Driver = {
    dialect,
    target: {
      system: dialect === "pg" ? "postgresql" : "sqlite",
      namespace: "mock",
      address: undefined,
      port: undefined,
      uri: "mock:"
    },
    capabilities,
    compiler: dialect === "pg"
      ? compilerPg(config.transformQueryNames, config.transformJson)
      : Statement.makeCompilerSqlite(config.transformQueryNames),
    transformRows: config.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(config.transformResultNames).array,
    transaction,
    open: Effect.sync(() => new Delegate(new MockConnection(() => driver, config.name, script, isHealthy))),
    maxConnections: undefined,
    answersCommits: true,
    transactionId: undefined,
    commitStatus: undefined,
    services: () => Effect.succeed(Context.empty())
  }
  return driver
}

/**
 * No database at all. Each statement is answered by the first expectation that it meets; transactions are understood
 * without one. A statement that meets none fails, and fails the test when the layer closes, even where the code under
 * test has caught the error.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const database = DbTest.mock([
 *   { statement: "SELECT id, body FROM note WHERE id = ?", params: [1], rows: [{ id: 1, body: "hello" }] },
 *   { statement: /^INSERT INTO note/, error: { reason: "UniqueViolation", constraint: "note_body" }, times: 1 }
 * ])
 *
 * const test = Db.query("SELECT id, body FROM note WHERE id = ?", [1]).pipe(Effect.provide(database))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const mock = <Self = Db, Provided = Provides>(
  expectations: ReadonlyArray<Expectation> = [],
  options: MockOptions<Self, Provided> = {}
): Layer.Layer<Provided, DbError | ConfigError> =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const script = new Script(expectations)
    yield* Effect.addFinalizer((exit) => {
      // A test that failed before has its own reason for what did not come any more.
      const problems = [...script.unexpected, ...(Exit.isSuccess(exit) ? script.missing : [])]
      return problems.length === 0 ? Effect.void : Effect.die(new MockError(problems.join("\n\n")))
    })
    const address: DbConfig.Options = options.dialect === "pg"
      ? { type: "postgresql", host: "mock.invalid", database: "mock", username: "mock" }
      : { type: "sqlite", filename: ":memory:" }
    return watched(
      targetOf(options).layerDriver({ environment: "test", ...address, pool: pool(undefined) }, (config) =>
        Effect.sync(() => makeDriver(config, script, options)))
    )
  }))
