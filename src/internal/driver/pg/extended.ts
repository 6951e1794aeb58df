/**
 * The extended protocol: parameters apart from the text, prepared once and reused by name.
 */
import type { DbError, Outcome } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import { emptyRows } from "../row.js"
import { copyError, decode, readError } from "./answer.js"
import type { ServerError } from "./codes.js"
import { isServersWord } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Exchange } from "./exchange.js"
import { Lookup } from "./lookup.js"
import { askPosition } from "./position.js"
import type { DataRow } from "./reader.js"
import type { Prepared } from "./session.js"
import type { Field, ReadRow } from "./shape.js"
import { noColumns, Shape } from "./shape.js"
import type { Text } from "./text.js"
import type { Params } from "./values.js"
import type { Encoded } from "./writer.js"
import { writer } from "./writer.js"

const statementLimit = "SELECT set_config('statement_timeout', $1, true)"
const lockLimit = "SELECT set_config('lock_timeout', $1, true)"
const noStatementLimit = "SET LOCAL statement_timeout TO DEFAULT"
const noLockLimit = "SET LOCAL lock_timeout TO DEFAULT"
const noParams: ReadonlyArray<Encoded> = []

/**
 * What the server says, in English whatever its language is, when a plan refers to a type, table or function that is no longer there:
 * one that was dropped, or made again under its name.
 */
const gone = /^(?:cache lookup failed for |could not open relation with OID |could not find (?:attribute|tuple|rule) )/

/** For a value that was refused where the type it was refused for may be a thing of the past. */
const doubt =
  "if a type has changed since the statement was prepared, run the transaction again: it is prepared anew then"

/**
 * What statements and cursors of the extended protocol have in common: what travels ahead of them (BEGIN, limits),
 * Parse and Describe at the first use, Bind and Execute at every use.
 */
export abstract class Extended extends Exchange {
  /** Set when it is composed. */
  protected rows!: Array<unknown>
  protected fault: DbError | undefined
  /** The statement itself was bound: from here on it may have run. */
  protected bound = false
  protected wasOpen = false
  /** Statements ahead of this one whose end has not been seen yet. */
  private ahead = 0
  /** Statements named in this exchange, in the order in which the server will answer. */
  private parsing: Array<Prepared> | undefined
  /** What was parsed before it in the same round trip, by its text. */
  protected parsedBefore: Map<string, Prepared> | undefined
  private prepared: Prepared | undefined
  /** The statement itself was parsed in this exchange. */
  private isNew = false
  private read: ReadRow | undefined
  private isBegun = false
  /** The rows are as they came: nothing is known yet of the type of a column. */
  private isRaw = false
  /** Set while the types of the parameters are awaited. */
  protected unbound: (() => void) | undefined

  constructor(
    channel: Channel,
    protected readonly request: Request,
    protected readonly text: Text,
    private readonly params: Params
  ) {
    super(channel)
  }

  /**
   * Writes everything up to Execute and what ends it. With an array among the parameters, the first use waits for the
   * types of the parameters before it binds them.
   */
  protected compose(portal: string, limit: number): void {
    const { session } = this.channel
    const request = this.request
    this.rows = emptyRows()
    this.error = undefined
    this.fault = undefined
    this.bound = false
    this.ahead = 0
    this.parsing = undefined
    this.read = undefined
    this.isBegun = false
    this.isRaw = false
    this.unbound = undefined
    this.wasOpen = session.transaction !== "idle"
    if (request.begin !== undefined) this.before(request.begin, noParams)
    const { carried } = session
    if (carried !== undefined) {
      if (request.begin !== undefined) { for (const text of carried.begin) this.before(text, noParams) }
      const ahead = session.carriedAhead(request, this.text)
      if (ahead !== undefined) this.before(ahead, noParams)
    }
    if (
      request.statementTimeout !== session.localStatementTimeout ||
      request.lockTimeout !== session.localLockTimeout
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
    if (this.params.hasArrays && prepared.types === undefined) this.askTypes(() => this.bind(portal, limit))
    else this.bind(portal, limit)
  }

  /** Asks for the types of the parameters, which have to be known before they are bound. */
  protected askTypes(bind: () => void): void {
    this.unbound = bind
    writer.flush()
  }

  private bind(portal: string, limit: number): void {
    const prepared = this.prepared!
    const fault = this.params.fit(prepared.types, this.channel.session.types)
    if (fault !== undefined) {
      this.fault = this.channel.session.failures.parameter(fault, this.request.text)
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
    const { session } = this.channel
    const { lockTimeout, statementTimeout } = this.request
    // A transaction that has failed takes nothing but its end; and its end undoes the limits.
    if (session.transaction === "failed" || this.text.controls) return
    // In no transaction there is nothing that could carry them to a statement behind a pooler: the engine keeps them.
    if (
      session.carried !== undefined && (this.text.alone || this.text.partial) && !this.wasOpen &&
      this.request.begin === undefined
    ) {
      return
    }
    if (statementTimeout !== session.localStatementTimeout) {
      if (statementTimeout === undefined) this.before(noStatementLimit, noParams)
      else this.before(statementLimit, [String(Math.ceil(statementTimeout))])
      session.localStatementTimeout = statementTimeout
    }
    if (lockTimeout !== session.localLockTimeout) {
      if (lockTimeout === undefined) this.before(noLockLimit, noParams)
      else this.before(lockLimit, [String(Math.ceil(lockTimeout))])
      session.localLockTimeout = lockTimeout
    }
    session.hasLocalLimits = true
  }

  /** Asks behind a COMMIT, which has ended its transaction by then, in one round trip with it. */
  protected positionBehind(): void {
    const { isNew } = this
    const prepared = this.prepare(askPosition, this.channel.session.texts.of(askPosition), this.request.prepare)
    this.isNew = isNew
    writer.bind("", prepared.name, noParams)
    writer.execute("", 0)
  }

  private before(sql: string, params: ReadonlyArray<Encoded>): void {
    const prepared = this.prepare(sql, this.channel.session.texts.of(sql), this.request.prepare)
    writer.bind("", prepared.name, params)
    writer.execute("", 0)
    this.ahead++
  }

  private prepare(sql: string, text: Text, isNamed: boolean): Prepared {
    const statements = this.channel.session.prepared
    const known = statements.get(sql) ?? this.parsedBefore?.get(sql)
    // The statement itself comes last.
    this.isNew = known === undefined
    if (known !== undefined) return known
    const prepared = statements.make(sql, text, isNamed)
    writer.parse(prepared.name, sql)
    this.parsedBefore?.set(sql, prepared)
    if (this.parsing === undefined) this.parsing = [prepared]
    else this.parsing.push(prepared)
    return prepared
  }

  override parseComplete(): void {
    const prepared = this.parsing?.shift()
    if (prepared !== undefined && prepared.name !== "") this.channel.session.prepared.remember(prepared)
  }

  override bindComplete(): void {
    if (this.ahead > 0) return
    this.bound = true
    this.prepared!.boundIn = this.channel.session.transactionNumber
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.prepared!.shape = fields === undefined ? noColumns : new Shape(fields)
    const unbound = this.unbound
    if (unbound === undefined) return
    this.unbound = undefined
    unbound()
    this.channel.write()
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
    this.channel.write()
  }

  override row(row: DataRow): void {
    if (this.ahead > 0) return
    if (this.isRaw) {
      this.rows.push(row.kept())
      return
    }
    try {
      this.read ??= this.shape.reader(this.request.mode, this.request.safeIntegers, this.channel.session.types)
      this.isRaw = this.read === undefined
      this.rows.push(this.read === undefined ? row.kept() : this.read(row))
    } catch (cause) {
      this.fault ??= readError(this.channel.session, cause, this.request.text)
    }
  }

  /**
   * Reads the rows that came before the types of their columns were known, when the catalog has been asked.
   *
   * @param beside the cursor that stays open outside a transaction
   */
  protected settle(beside: Exchange | undefined, settled: (failure: DbError | undefined) => void): void {
    if (!this.isRaw) return settled(undefined)
    this.isRaw = false
    const { channel, request, shape } = this
    const { session } = channel
    const unknown = shape.unknown(session.types)
    const read = (failure: DbError | undefined) => settled(failure ?? decode(session, request, this.rows, shape))
    // One that was sent with it may have asked meanwhile.
    if (unknown.length === 0) return read(undefined)
    new Lookup(channel, unknown, beside, request.text, read).start()
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
    // The server fails it then, and with it the transaction it is in.
    this.fault ??= copyError(this.channel.session, this.request.text, "RolledBack")
    // What was sent to ask for the answers is swallowed by the server's copy mode.
    writer.copyFail("not supported")
    this.end()
    this.channel.write()
  }

  override copyOut(): void {
    this.fault ??= copyError(this.channel.session, this.request.text, "Unknown")
  }

  /** What is known when the server has refused the statement and lives on. */
  protected refusal(error: ServerError, hint?: string): DbError {
    const outcome: Outcome = this.wasOpen || this.isBegun
      ? "RolledBack"
      : !this.bound
      ? "NotSent"
      : this.text.partial
      ? "Unknown"
      : "RolledBack"
    return this.channel.refused(error, {
      outcome,
      statement: this.request.text,
      commit: this.text.commits,
      limits: this.request,
      hint
    })
  }

  /**
   * Whether the server refused the statement before any of it ran because of what it was prepared from: it no longer
   * has the statement ("changed"), what the statement stands on has changed ("changed"), or a value does not fit the
   * type that its parameter had then ("doubtful": the value may be at fault as well). Then it is forgotten here too.
   */
  protected staleness(error: ServerError): "changed" | "doubtful" | undefined {
    const prepared = this.prepared
    // What was prepared in this very exchange is as new as can be.
    if (this.bound || prepared === undefined || prepared.name === "" || this.isNew) return undefined
    const { code = "" } = error
    if (code === "26000") {
      this.channel.session.prepared.forgetAll()
      return "changed"
    }
    const stale = code === "0A000" && error.routine === "RevalidateCachedQuery"
      ? "changed"
      : code.startsWith("42") && code !== "42501"
      ? "changed"
      : code === "XX000" && gone.test(error.message)
      ? "changed"
      : code.startsWith("22")
      ? "doubtful"
      : undefined
    if (stale !== undefined) this.channel.session.prepared.forget(prepared)
    return stale
  }

  /** What is said of a statement that was stale inside a transaction, where nothing can be run again. */
  protected staleFailure(error: ServerError, stale: "changed" | "doubtful"): DbError {
    const { session } = this.channel
    // What is gone is gone, however the statement is prepared.
    if (error.code === "42P01" || error.code === "42703") return this.refusal(error)
    if (stale === "doubtful") return this.refusal(error, doubt)
    // Where the transaction had used it before, no other one could change its tables since: run again, it fails again.
    const isByItself = this.prepared?.boundIn === session.transactionNumber
    return session.failures.planChanged(error, this.request.text, isByItself)
  }

  /** A BEGIN that came with the statement is taken back. */
  protected beginAgain(ready: (failure: DbError | undefined) => void): void {
    if (this.channel.session.transaction === "idle") ready(undefined)
    else this.channel.run("ROLLBACK", ready)
  }

  protected outcomeWhenLost(isCompleted: boolean): Outcome {
    if (this.isUnreached) return "NotSent"
    if (this.wasOpen || this.request.begin !== undefined) return this.text.commits ? "Unknown" : "RolledBack"
    // The server said that it ends this link, and had not ended the statement: its own transaction is undone.
    return this.error !== undefined && isServersWord(this.error) && !isCompleted && this.text.plain
      ? "RolledBack"
      : "Unknown"
  }
}
