/**
 * Statements by the extended protocol: parameters apart from the text, prepared once and reused by name.
 *
 * @since 0.1.0
 */
import type { DbError, Outcome } from "../../DbError.js"
import type { Done, Request } from "../Driver.js"
import type { ServerError } from "./codes.js"
import type { PgConnection } from "./connection.js"
import { copyError, Exchange, readError } from "./exchange.js"
import type { Params } from "./params.js"
import type { Prepared } from "./prepared.js"
import type { Field, ReadRow, Values } from "./shape.js"
import { noColumns, result, Shape } from "./shape.js"
import type { Text } from "./text.js"
import type { Encoded } from "./writer.js"
import { writer } from "./writer.js"

const statementLimit = "SELECT set_config('statement_timeout', $1, true)"
const lockLimit = "SELECT set_config('lock_timeout', $1, true)"
const noStatementLimit = "SET LOCAL statement_timeout TO DEFAULT"
const noLockLimit = "SET LOCAL lock_timeout TO DEFAULT"
const noParams: ReadonlyArray<Encoded> = []

/**
 * What statements and cursors of the extended protocol have in common: what travels ahead of them (BEGIN, limits),
 * Parse and Describe at the first use, Bind and Execute at every use.
 *
 * @since 0.1.0
 * @category models
 */
export abstract class Extended extends Exchange {
  protected rows: Array<unknown> = []
  protected fault: DbError | undefined
  /** The statement itself was bound: from here on it may have run. */
  protected bound = false
  protected wasOpen = false
  /** Statements ahead of this one whose end has not been seen yet. */
  private ahead = 0
  /** Statements named in this exchange, in the order in which the server will answer. */
  private parsing: Array<Prepared> | undefined
  private prepared: Prepared | undefined
  private read: ReadRow | undefined
  private isBegun = false
  /** Set while the types of the parameters are awaited. */
  protected unbound: (() => void) | undefined

  constructor(
    connection: PgConnection,
    protected readonly request: Request,
    protected readonly text: Text,
    private readonly params: Params
  ) {
    super(connection)
  }

  /**
   * Writes everything up to Execute and what ends it. With an array among the parameters, the first use waits for the
   * types of the parameters before it binds them.
   */
  protected compose(portal: string, limit: number): void {
    const connection = this.connection
    const request = this.request
    this.rows = []
    this.error = undefined
    this.fault = undefined
    this.bound = false
    this.ahead = 0
    this.parsing = undefined
    this.read = undefined
    this.isBegun = false
    this.unbound = undefined
    this.wasOpen = connection.transaction !== "idle"
    if (request.begin !== undefined) this.before(request.begin, noParams)
    if (
      request.statementTimeout !== connection.localStatementTimeout ||
      request.lockTimeout !== connection.localLockTimeout
    ) {
      this.limits()
    }
    const prepared = this.prepare(request.text, this.text, request.prepare && !this.params.areMany)
    this.prepared = prepared
    if (this.params.areMany) {
      this.bind(portal, limit)
      return
    }
    if (prepared.shape === undefined || this.text.shapeless) writer.describeStatement(prepared.name)
    if (this.params.hasArrays && prepared.types === undefined) {
      this.unbound = () => this.bind(portal, limit)
      writer.flush()
    } else {
      this.bind(portal, limit)
    }
  }

  private bind(portal: string, limit: number): void {
    const prepared = this.prepared!
    const fault = this.params.fit(prepared.types)
    if (fault !== undefined) {
      this.fault = this.connection.failures.parameter(fault, this.request.text)
      return writer.sync()
    }
    writer.bind(portal, prepared.name, this.params.encoded)
    if (this.params.areMany) writer.describePortal(portal)
    writer.execute(portal, limit)
    this.end()
  }

  /** Asks for the answers: by a Sync, or by a Flush. */
  protected abstract end(): void

  private limits(): void {
    const connection = this.connection
    const { lockTimeout, statementTimeout } = this.request
    // A transaction that has failed takes nothing but its end; and its end undoes the limits.
    if (connection.transaction === "failed" || this.text.controls) return
    if (statementTimeout !== connection.localStatementTimeout) {
      if (statementTimeout === undefined) this.before(noStatementLimit, noParams)
      else this.before(statementLimit, [String(Math.ceil(statementTimeout))])
      connection.localStatementTimeout = statementTimeout
    }
    if (lockTimeout !== connection.localLockTimeout) {
      if (lockTimeout === undefined) this.before(noLockLimit, noParams)
      else this.before(lockLimit, [String(Math.ceil(lockTimeout))])
      connection.localLockTimeout = lockTimeout
    }
    connection.hasLocalLimits = true
  }

  private before(sql: string, params: ReadonlyArray<Encoded>): void {
    const prepared = this.prepare(sql, this.connection.texts.of(sql), this.request.prepare)
    writer.bind("", prepared.name, params)
    writer.execute("", 0)
    this.ahead++
  }

  private prepare(sql: string, text: Text, isNamed: boolean): Prepared {
    const statements = this.connection.prepared
    const known = statements.get(sql)
    if (known !== undefined) return known
    const prepared = statements.make(sql, text, isNamed)
    writer.parse(prepared.name, sql)
    if (this.parsing === undefined) this.parsing = [prepared]
    else this.parsing.push(prepared)
    return prepared
  }

  override parseComplete(): void {
    const prepared = this.parsing?.shift()
    if (prepared !== undefined && prepared.name !== "") this.connection.prepared.remember(prepared)
  }

  override bindComplete(): void {
    if (this.ahead === 0) this.bound = true
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.prepared!.shape = fields === undefined ? noColumns : new Shape(fields)
    const unbound = this.unbound
    if (unbound === undefined) return
    this.unbound = undefined
    unbound()
    this.connection.write()
  }

  override typed(types: ReadonlyArray<number>): void {
    this.prepared!.types = types
  }

  override failed(error: ServerError): void {
    super.failed(error)
    if (this.unbound === undefined) return
    this.unbound = undefined
    this.sync()
  }

  protected sync(): void {
    writer.sync()
    this.connection.write()
  }

  override row(values: Values): void {
    if (this.ahead > 0) return
    try {
      this.read ??= this.shape.reader(this.request.mode, this.request.safeIntegers)
      this.rows.push(this.read(values))
    } catch (cause) {
      this.fault ??= readError(this.connection, cause, this.request.text)
    }
  }

  protected get shape(): Shape {
    return this.prepared?.shape ?? noColumns
  }

  override complete(tag: string | undefined): void {
    if (this.ahead === 0) return this.finished(tag)
    this.ahead--
    this.isBegun ||= this.request.begin !== undefined
  }

  protected abstract finished(tag: string | undefined): void

  override copyIn(): void {
    this.fault ??= copyError(this.connection, this.request.text)
    // The Sync that was sent already is swallowed by the server's copy mode.
    writer.copyFail("not supported")
    writer.sync()
    this.connection.write()
  }

  override copyOut(): void {
    this.fault ??= copyError(this.connection, this.request.text)
  }

  /** What is known when the server has refused the statement and lives on. */
  protected refusal(error: ServerError): DbError {
    const outcome: Outcome = this.wasOpen || this.isBegun
      ? "RolledBack"
      : !this.bound
      ? "NotSent"
      : this.text.partial
      ? "Unknown"
      : "RolledBack"
    return this.connection.refused(error, {
      outcome,
      statement: this.request.text,
      commit: this.text.commits,
      limits: this.request
    })
  }

  /**
   * Whether the server no longer has, or no longer accepts, what was prepared; then it is forgotten here too.
   */
  protected isStale(error: ServerError): boolean {
    if (this.bound || this.prepared?.name === "") return false
    if (error.code === "26000") {
      this.connection.prepared.forgetAll()
      return true
    }
    if (error.code === "0A000" && error.routine === "RevalidateCachedQuery") {
      this.connection.prepared.forget(this.prepared!)
      return true
    }
    return false
  }

  protected outcomeWhenLost(completed: boolean): Outcome {
    if (this.wasOpen || this.request.begin !== undefined) return this.text.commits ? "Unknown" : "RolledBack"
    // The server said that it ends this link, and had not ended the statement: its own transaction is undone.
    return this.error !== undefined && !completed && this.text.plain ? "RolledBack" : "Unknown"
  }
}

/**
 * One statement by the extended protocol, with all its rows.
 *
 * @since 0.1.0
 * @category models
 */
export class Statement extends Extended {
  private tag: string | undefined
  private isCompleted = false
  private isSecondRun = false

  constructor(
    connection: PgConnection,
    request: Request,
    text: Text,
    params: Params,
    private readonly done: Done<unknown>
  ) {
    super(connection, request, text, params)
  }

  start(): void {
    this.tag = undefined
    this.isCompleted = false
    this.compose("", 0)
    this.connection.sendStatement(this, this.text)
  }

  protected end(): void {
    writer.sync()
  }

  protected finished(tag: string | undefined): void {
    this.tag = tag
    this.isCompleted = true
  }

  ready(): void {
    const connection = this.connection
    connection.statementEnded(this.text)
    if (this.error !== undefined) return this.refuse(this.error)
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    if (this.text.commits && this.tag === "ROLLBACK") {
      return this.done(connection.failures.commitWasRollback(this.request.text), undefined)
    }
    this.done(undefined, this.request.mode === "raw" ? result(this.tag, this.rows, this.shape) : this.rows)
  }

  private refuse(error: ServerError): void {
    const connection = this.connection
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    if (this.isStale(error)) {
      if (this.wasOpen) return this.done(connection.failures.planChanged(error, this.request.text), undefined)
      if (!this.isSecondRun) {
        // Nothing of it has run: begin again.
        this.isSecondRun = true
        if (connection.transaction === "idle") return this.start()
        return connection.run("ROLLBACK", (failure) => {
          if (failure === undefined) this.start()
          else this.done(failure, undefined)
        })
      }
    }
    this.done(this.refusal(error), undefined)
  }

  lost(cause: Error | undefined): void {
    this.done(
      this.connection.broken(cause, {
        outcome: this.outcomeWhenLost(this.isCompleted),
        statement: this.request.text,
        commit: this.text.commits && this.wasOpen
      }),
      undefined
    )
  }
}
