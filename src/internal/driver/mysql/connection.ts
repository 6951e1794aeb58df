/**
 * One connection: requests one at a time, with the transaction's state as the server tells it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Query, ResultSetHeader } from "mysql2"
import type { ConnectionError, DbError, Outcome } from "../../../DbError.js"
import type { Cursor, Description, Done, Request, TransactionStatus } from "../../../driver/Driver.js"
import { refusedParameter } from "../../error/parameter.js"
import { head } from "../../sql/classify.js"
import { LibraryConnection } from "../library/LibraryConnection.js"
import { stop } from "./cancel.js"
import { classifyLink, lookup, type RawError } from "./codes.js"
import { disguise } from "./columns.js"
import { RowCursor } from "./cursor.js"
import { describe } from "./describe.js"
import { Exchange } from "./exchange.js"
import type { Endpoint, Link, Raw } from "./link.js"
import { type Fields, isHeader, isSeveral, type Results, shape, textOptions } from "./results.js"
import { read, readUnder, type Script } from "./script.js"
import { type Facts, factsOf, type Limits, limitText, sameLimits, setupText } from "./settings.js"
import { Statements } from "./statements.js"
import { traitsOf } from "./texts.js"
import { encode, exceeds, Refused, RowDecoder } from "./values.js"
import * as Verdicts from "./verdicts.js"

const inTransactionFlags = 0x0001 | 0x2000
const stateChangedFlag = 0x4000

/** What the driver sends on its own account: nothing of it writes, nothing of it stays. */
const ownTraits = traitsOf("DO 0")
const rollbackTraits = traitsOf("ROLLBACK")

/** The character set that a statement has chosen. mysql2's types do not tell of it. */
const charsetIn = (header: ResultSetHeader): string | undefined =>
  (header as { readonly stateChanges?: { readonly systemVariables: Readonly<Record<string, string>> } | null })
    .stateChanges?.systemVariables["character_set_client"]

/** A command whose columns may have any name. */
const named = (command: Query): Query => command.on("fields", disguise)

type Answer = (error: RawError | null, results: Results, fields: Fields) => void

export class MysqlConnection extends LibraryConnection<Exchange, Array<unknown>, RowCursor> {
  private readonly endpoint: Endpoint
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it leads to the library's connection, which has the password.
  readonly #link: Link
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it has the password.
  readonly #raw: Raw
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it leads to the library's connection, which has the password.
  readonly #statements: Statements
  /** What the server said of itself when it was set up. */
  facts: Facts | undefined = undefined
  private flags = 0
  /** The limits the server has for this connection; `undefined` where that is not known. */
  private limits: Limits | undefined = undefined
  /** What the server takes texts for. mysql2 follows where it is changed, and drops the characters that are not in it. */
  private charset = "utf8mb4"
  /** Those who wait for the cancel that is under way. */
  private cancelling: Array<Done<void>> | undefined = undefined

  constructor(endpoint: Endpoint, link: Link) {
    const statements = new Statements(link.raw, endpoint.config.prepareCacheSize)
    super({
      database: endpoint.config.name,
      where: endpoint.where,
      socket: link.socket,
      Exchange,
      traitsOf: (text) => statements.get(text)?.traits ?? traitsOf(text),
      ownTraits,
      rollbackTraits,
      classifyLink
    })
    this.endpoint = endpoint
    this.#link = link
    this.#raw = link.raw
    this.#statements = statements
    link.raw.on("error", (error: RawError) => this.broken(error))
    // mysql2 does not tell of a loss during a command of its own, such as the ping after a cancel.
    link.socket.on("close", () => this.broken(new Error("the server closed the connection")))
  }

  get transaction(): TransactionStatus {
    return (this.flags & inTransactionFlags) === 0 ? "idle" : "open"
  }

  describe(text: string, done: Done<Description>): void {
    // What this exchange ends with is what it is ended with below.
    const exchange = this.startAsking(text, done as Done<unknown>)
    if (exchange === undefined) return
    exchange.phase = "prepare"
    this.#statements.prepare(text, false, (error, prepared) => {
      if (exchange.finished) return
      // A kind of statement that cannot be prepared: it takes no parameters, and nothing more is known of it.
      if (error?.errno === 1295) return this.finish(exchange, undefined, { parameters: [], columns: undefined })
      if (prepared === undefined) return this.failed(exchange, error ?? new Error("the statement was not prepared"))
      const description = describe(prepared.info)
      this.#statements.release(prepared)
      this.finish(exchange, undefined, description)
    })
  }

  protected run(exchange: Exchange, request: Request, params: Array<unknown>): void {
    if (exchange.traits.several) this.read(exchange, request, params)
    else this.single(exchange, request, params, (answer) => this.finish(exchange, undefined, answer))
  }

  protected makeCursor(exchange: Exchange, request: Request, opened: Done<Cursor>): RowCursor {
    const cursor = new RowCursor(opened, {
      raw: this.#raw,
      decoder: (fields) => new RowDecoder(fields, request, this.endpoint.config.jsonNumbers),
      unreadable: (cause) => Verdicts.unreadable(this.endpoint, exchange, cause),
      answered: (error) => {
        if (exchange.finished) return
        if (error !== undefined) return this.failed(exchange, error)
        this.flags = this.#link.flags.last
        this.finish(exchange, undefined)
      },
      stop: (done) => this.cancel(done),
      stopped: () => this.stopped(exchange)
    })
    exchange.discard = cursor.discard
    return cursor
  }

  protected stream(exchange: Exchange, request: Request, params: Array<unknown>, cursor: RowCursor): void {
    this.dispatch(exchange, request, params, (start) => cursor.attach(start(undefined)))
  }

  protected askAlive(exchange: Exchange): void {
    this.#raw.ping((error: RawError | null | undefined) => {
      if (exchange.finished) return
      if (error) this.failed(exchange, error)
      else this.finish(exchange, undefined)
    })
  }

  protected endTransaction(exchange: Exchange, commits: boolean, next: () => void): void {
    exchange.phase = "run"
    // Also where a reset of the connection follows, which rolls back by itself, but not what XA has prepared: behind it the
    // server reports no transaction, and refuses every statement on a table. This is refused while one of XA stands.
    this.send(exchange, (answer) => this.query(commits ? "COMMIT" : "ROLLBACK", answer), next)
  }

  protected resetSession(exchange: Exchange, next: () => void): void {
    exchange.phase = "run"
    this.#raw.reset((error) => {
      if (exchange.finished) return
      if (error) return this.failed(exchange, error)
      this.#statements.forget()
      this.flags = 0
      next()
    })
  }

  protected leave(): void {
    // A stream that was left paused would hide the server's answer.
    this.#raw.resume()
    this.#raw.end()
  }

  cancel(done: Done<void>): void {
    const { exchange } = this
    if (this.cancelling !== undefined) {
      this.cancelling.push(done)
      return
    }
    if (exchange === undefined || this.lost) return done(undefined, undefined)
    const waiting: Array<Done<void>> = this.cancelling = [done]
    exchange.cancelled = true
    exchange.discard?.()
    const settled = (error: DbError | undefined) => {
      this.cancelling = undefined
      for (const waiter of waiting) waiter(error, undefined)
    }
    // A fiber of its own, on the real clock: a server does not wait for a test's.
    Effect.runFork(stop(this.endpoint, this.#link, this.id, exchange)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return settled(undefined)
      const error = Cause.failureOption(exit.cause)
      settled(error._tag === "Some" ? error.value : Verdicts.notStopped(this.endpoint, Cause.squash(exit.cause)))
    })
  }

  protected admit(exchange: Exchange, request: Request, next: (params: Array<unknown>) => void): void {
    const { traits } = exchange
    if (!this.charset.startsWith("utf8") && !traits.control && head(request.text, "mysql", 1)[0] !== "SET") {
      return this.finish(exchange, Verdicts.characterSet(this.endpoint, exchange, this.charset))
    }
    const params = encode(request.params, this.#link.mariadb)
    if (params instanceof Refused) {
      return this.finish(
        exchange,
        Verdicts.parameter(this.endpoint, exchange, refusedParameter(params.index, params.what), params.advice)
      )
    }
    const limit = this.facts!.maxPacket
    if (exceeds(request.text, params, limit)) {
      return this.finish(exchange, Verdicts.tooLarge(this.endpoint, exchange, limit))
    }
    const ahead: Array<string> = []
    const base = this.facts!.limits
    // COMMIT and its like take what is in force: a round trip more would only make them slower.
    const lock = request.lockTimeout === 0 ? undefined : request.lockTimeout
    const limits = traits.control && this.limits !== undefined ? this.limits : {
      statement: request.statementTimeout ?? base.statement,
      rowLock: lock ?? base.rowLock,
      tableLock: lock ?? base.tableLock
    }
    if (this.limits === undefined || !sameLimits(this.limits, limits)) {
      ahead.push(limitText(limits, this.#link.mariadb))
    }
    if (request.begin !== undefined) ahead.push(request.begin)
    if (!this.#link.mariadb && !traits.control) exchange.limit = limits.statement
    if (ahead.length === 0) return next(params)
    this.send(exchange, (answer) => this.query(ahead.join("; "), answer), () => {
      this.limits = limits
      next(params)
    })
  }

  private single(
    exchange: Exchange,
    request: Request,
    params: Array<unknown>,
    next: (answer: unknown, isSeveral: boolean) => void
  ): void {
    this.dispatch(
      exchange,
      request,
      params,
      (start) =>
        this.send(exchange, start, (results, fields) => {
          let answer: unknown
          try {
            answer = shape(request, results, fields, this.endpoint.config.jsonNumbers)
          } catch (cause) {
            return this.finish(exchange, Verdicts.unreadable(this.endpoint, exchange, cause))
          }
          next(answer, request.mode !== "result" && isSeveral(results, fields))
        })
    )
  }

  /** A text that may be several statements: it is cut, where the server would not do that by itself. */
  private read(exchange: Exchange, request: Request, params: Array<unknown>): void {
    const go = (script: Script | undefined) => {
      if (script === undefined || script.parts.length < 2) {
        return this.single(exchange, request, params, (answer) => this.finish(exchange, undefined, answer))
      }
      exchange.traits = script.traits
      if (params.length > 0) return this.each(exchange, request, params, script)
      // Sent as it is: only where there are parameters does the protocol take one statement at a time.
      this.single(
        exchange,
        { ...request, prepare: false },
        params,
        (answer) => this.finish(exchange, undefined, answer)
      )
    }
    const script = read(request.text)
    if (script !== "by mode") return go(script)
    this.#raw.config.rowsAsArray = true
    this.send(exchange, (answer) => this.query("SELECT @@sql_mode", answer), (results) => {
      // A SELECT of one value.
      const mode = String((results as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])
      go(readUnder(request.text, mode))
    })
  }

  /** Sends the statements of a text one after the other, each with its own parameters. The first that fails is the last. */
  private each(exchange: Exchange, request: Request, params: Array<unknown>, { parts, placeholders }: Script): void {
    if (placeholders !== params.length) return this.miscounted(exchange, placeholders, params.length)
    const answers: Array<unknown> = []
    const next = (index: number, from: number): void => {
      const part = parts[index]
      if (part === undefined) {
        return this.finish(exchange, undefined, request.mode === "result" ? answers.at(-1) : answers)
      }
      const to = from + part.placeholders
      exchange.part = { text: part.text, number: index + 1, of: parts.length }
      this.single(exchange, { ...request, text: part.text }, params.slice(from, to), (answer, isSeveral) => {
        exchange.results++
        // A CALL gives as many results as its procedure, as it does where the server cuts the text.
        if (isSeveral) answers.push(...answer as ReadonlyArray<unknown>)
        else answers.push(answer)
        next(index + 1, to)
      })
    }
    next(0, 0)
  }

  private miscounted(exchange: Exchange, expected: number, given: number): void {
    this.finish(exchange, Verdicts.miscounted(this.endpoint, exchange, expected, given))
  }

  /** Prepares where that is asked for, and gives `run` what sends the statement. */
  private dispatch(
    exchange: Exchange,
    request: Request,
    params: Array<unknown>,
    run: (start: (answer: Answer | undefined) => Query) => void
  ): void {
    const go = (start: (answer: Answer | undefined) => Query) => {
      if (!this.sendable(exchange)) return
      exchange.phase = "run"
      // Read by mysql2 when a command begins, and one runs at a time.
      this.#raw.config.rowsAsArray = request.mode === "values"
      if (exchange.traits.takesLock) this.holds = true
      else if (exchange.traits.releasesLocks) this.holds = false
      this.sending(exchange)
      run(start)
    }
    const count = exchange.part === undefined ? () => exchange.results++ : undefined
    const asText = () => go((answer) => this.query(request.text, answer, count))
    if (params.length === 0 && (!request.prepare || exchange.traits.control)) return asText()
    const cached = this.#statements.get(request.text)
    const use = (prepared: NonNullable<typeof cached>) => {
      if (!prepared.kept) exchange.whenFinished.push(() => this.lost || this.#statements.release(prepared))
      const expected = prepared.info.parameters.length
      if (expected !== params.length) return this.miscounted(exchange, expected, params.length)
      // The types of mysql2 want to know the shape of the rows.
      go((answer) => named(prepared.info.execute(params, answer as never) as unknown as Query))
    }
    if (cached !== undefined) return use(cached)
    const prepare = (mayRepeat: boolean) => {
      exchange.phase = "prepare"
      this.#statements.prepare(request.text, request.prepare, (error, prepared) => {
        if (exchange.finished) return
        if (prepared !== undefined) return use(prepared)
        // A kind of statement that cannot be prepared; without parameters it need not be.
        if (error?.errno === 1295 && params.length === 0) return asText()
        // The server's limit of prepared statements is reached: close all of ours.
        if (error?.errno === 1461 && mayRepeat && this.#statements.closeAll()) return prepare(false)
        this.failed(exchange, error ?? new Error("the statement was not prepared"))
      })
    }
    prepare(true)
  }

  /** Sends one command of an exchange, unless the exchange is to stop. */
  private send(
    exchange: Exchange,
    command: (answer: Answer) => unknown,
    next: (results: Results, fields: Fields) => void
  ): void {
    if (!this.sendable(exchange)) return
    command((error, results, fields) => {
      if (exchange.finished) return
      if (error) return this.failed(exchange, error)
      this.notice(exchange, results, fields)
      next(results, fields)
    })
  }

  /** A text in the text protocol. */
  private query(text: string, answer: Answer | undefined, onResult?: () => void): Query {
    // The types of mysql2 want to know the shape of the rows.
    const query = named(this.#raw.query(textOptions(text), answer as never) as Query)
    if (onResult !== undefined) query.on("fields", onResult)
    return query
  }

  /** Remembers what the server said of the transaction and of the connection's state. */
  private notice(exchange: Exchange, results: Results, fields: Fields): void {
    const all: ReadonlyArray<unknown> = isSeveral(results, fields) ? results : [results]
    const last = all.at(-1)
    this.flags = isHeader(last) ? last.serverStatus : this.#link.flags.last
    for (const result of all) {
      if (isHeader(result)) this.charset = charsetIn(result) ?? this.charset
    }
    if (exchange.text === undefined || exchange.phase !== "run") return
    for (const result of all) {
      if (isHeader(result) && (result.serverStatus & stateChangedFlag) !== 0) this.dirty = true
    }
  }

  protected configure(exchange: Exchange): void {
    const { config } = this.endpoint
    this.#raw.config.rowsAsArray = true
    this.send(exchange, (answer) => this.query(setupText(config, this.#link, this.facts), answer), (results) => {
      // Several statements were sent; the last of them is a SELECT of one row.
      const rows = (results as ReadonlyArray<unknown>).at(-1) as ReadonlyArray<ReadonlyArray<unknown>>
      const facts = factsOf(rows[0]!)
      const before = this.facts
      this.facts ??= facts
      this.limits = facts.limits
      this.id = facts.id
      this.serverVersion = facts.version
      if (before !== undefined && before.database !== facts.database) {
        return this.finish(exchange, Verdicts.hasDatabase(this.endpoint))
      }
      this.finish(exchange, undefined)
    })
  }

  private failed(exchange: Exchange, error: RawError): void {
    // What mysql2 itself reports has no number, and leaves the link in no known state.
    if (error.fatal === true || error.errno === undefined) return this.broken(error)
    const known = lookup(error)
    const { traits } = exchange
    const limits = this.limits ?? this.facts?.limits
    if (exchange.phase === "ahead") {
      this.limits = undefined
      // The isolation level of a BEGIN that failed waits for the next one.
      this.dirty = true
    }
    const verdict = Verdicts.refused(this.endpoint, exchange, error, limits, this.hasForeignLimits)
    exchange.verdict = verdict
    if (verdict._tag === "ConnectionError" && verdict.reason !== "ReadOnlyServer") return this.broken(error)
    const isCertain = !exchange.inTransaction || (known.goesOn === true && traits.transactional)
    if (isCertain && !traits.several && !traits.dirties) return this.finish(exchange, verdict)
    this.askStatus(exchange, 3)
  }

  /** An error does not tell whether the transaction is still open: some end it, by settings of the server. */
  private askStatus(exchange: Exchange, tries: number): void {
    this.query("DO 0", (error, results) => {
      if (exchange.finished) return
      // A KILL QUERY for the failed statement can hit this one.
      if (error) return error.fatal !== true && tries > 0 ? this.askStatus(exchange, tries - 1) : this.broken(error)
      if (isHeader(results)) this.flags = results.serverStatus
      const verdict = exchange.verdict
      this.finish(
        exchange,
        verdict !== undefined && this.transaction === "idle" ? Verdicts.ended(exchange, verdict) : verdict
      )
    })
  }

  protected stopped(exchange: Exchange): DbError {
    return Verdicts.stopped(this.endpoint, exchange)
  }

  protected lostOutcome(exchange: Exchange): Outcome | "COMMIT" {
    return Verdicts.lostOutcome(exchange)
  }

  /** What is known already why the statement failed says more than the loss of its link. */
  protected override broken(error: Error, verdict: DbError | undefined = this.exchange?.verdict): void {
    super.broken(error, verdict)
  }

  protected override gone(cause: Error | undefined): ConnectionError {
    // With the link the server has rolled back what was open on it.
    return cause === undefined
      ? super.gone(cause)
      : this.linkError(cause, this.transaction === "open" ? "RolledBack" : "NotSent")
  }
}
