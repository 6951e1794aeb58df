/**
 * One connection: requests one at a time, with the transaction's state as the server tells it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Query, ResultSetHeader } from "mysql2"
import type { ConnectionError, DbError, Outcome } from "../../../DbError.js"
import type { Connection, Cursor, Done, Request, ResetPolicy, TransactionStatus } from "../../../driver/Driver.js"
import { failure, keptLimit } from "../Failure.js"
import { Inexact } from "../JsonText.js"
import { stop } from "./cancel.js"
import { classify, classifyLink, lookup, type RawError } from "./codes.js"
import { disguise } from "./columns.js"
import { RowCursor } from "./cursor.js"
import { Job } from "./job.js"
import type { Endpoint, Link, Raw } from "./link.js"
import { type Fields, isHeader, isSeveral, type Results, shape, textOptions } from "./results.js"
import { read, readUnder, type Script } from "./script.js"
import { type Facts, factsOf, type Limits, limitText, sameLimits, setupText } from "./settings.js"
import { Statements } from "./statements.js"
import { releasesLocks, takesLock, type Traits, traitsOf } from "./texts.js"
import { encode, exceeds, Refused, RowDecoder } from "./values.js"

const inTransactionFlags = 0x0001 | 0x2000
const stateChangedFlag = 0x4000

/** The longest that a polite goodbye may take. */
const goodbyeMillis = 1000

/** What the driver sends on its own account: nothing of it writes, nothing of it stays. */
const ownTraits = traitsOf("DO 0")

/** The character set that a statement has chosen. mysql2's types do not tell of it. */
const charsetIn = (header: ResultSetHeader): string | undefined =>
  (header as { readonly stateChanges?: { readonly systemVariables: Readonly<Record<string, string>> } | null })
    .stateChanges?.systemVariables["character_set_client"]

/** A command whose columns may have any name. */
const named = (command: Query): Query => command.on("fields", disguise)

type Answer = (error: RawError | null, results: Results, fields: Fields) => void

/**
 * @since 0.1.0
 * @category models
 */
export class MysqlConnection implements Connection {
  id = 0
  serverVersion = ""
  dirty = false
  holds = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined = undefined

  // Private by the language: what mysql2 holds must not show when a connection is inspected.
  readonly #endpoint: Endpoint
  readonly #link: Link
  readonly #raw: Raw
  readonly #statements: Statements
  #facts: Facts | undefined
  #flags = 0
  #job: Job | undefined
  /** The limits the server has for this connection; `undefined` where that is not known. */
  #limits: Limits | undefined
  /** What the server takes texts for. mysql2 follows where it is changed, and drops the characters that are not in it. */
  #charset = "utf8mb4"
  /** A statement of the program's may have set limits of its own. */
  #foreignLimits = false
  #leaving = false
  /** Why the link is lost, where nobody asked for that. */
  #lostBy: RawError | undefined
  /** Those who wait for the cancel that is under way. */
  #cancelling: Array<Done<void>> | undefined

  constructor(endpoint: Endpoint, link: Link) {
    this.#endpoint = endpoint
    this.#link = link
    this.#raw = link.raw
    this.#statements = new Statements(link.raw, endpoint.config.prepareCacheSize)
    link.raw.on("error", (error: RawError) => this.#broken(error))
    // mysql2 tells nobody of a loss during a command of its own, such as the ping after a cancel.
    link.socket.on("close", () => this.#broken(new Error("the server closed the connection")))
  }

  /** What the server said of itself when it was set up. */
  get facts(): Facts | undefined {
    return this.#facts
  }

  get transaction(): TransactionStatus {
    return (this.#flags & inTransactionFlags) === 0 ? "idle" : "open"
  }

  readonly writes = (): boolean => true

  /** Sets the connection to what the configuration asks for. To be called once, before anything else. */
  readonly setUp = (done: Done<void>): void => {
    const job = this.#start(undefined, ownTraits, false, (error) => done(error, undefined))
    if (job !== undefined) this.#configure(job)
  }

  readonly execute = (request: Request, done: Done<unknown>): void => {
    this.#begin(request, done, (job, params) => {
      if (job.traits.several) this.#read(job, request, params)
      else this.#single(job, request, params, (answer) => this.#finish(job, undefined, answer))
    })
  }

  readonly openCursor = (request: Request, done: Done<Cursor>): void => {
    let cursor: RowCursor | undefined
    this.#begin(request, (error) => {
      if (cursor !== undefined) cursor.end(error)
      // The value is not read beside an error, and without a cursor there is one.
      else done(error, undefined as never)
    }, (job, params) => {
      cursor = new RowCursor({
        raw: this.#raw,
        decoder: (fields) => new RowDecoder(fields, request, this.#endpoint.config.jsonNumbers),
        unreadable: (cause) => this.#unreadable(job, cause),
        answered: (error) => {
          if (job.finished) return
          if (error !== undefined) return this.#failed(job, error)
          this.#flags = this.#link.flags.last
          this.#finish(job, undefined)
        },
        stop: this.cancel,
        stopped: () => this.#stopped(job)
      }, done)
      job.discard = cursor.discard
      const attach = cursor.attach.bind(cursor)
      this.#dispatch(job, request, params, (start) => attach(start(undefined)))
    })
  }

  readonly ping = (done: Done<void>): void => {
    const job = this.#start(undefined, ownTraits, false, (error) => done(error, undefined))
    if (job === undefined) return
    this.#raw.ping((error: RawError | null | undefined) => {
      if (job.finished) return
      if (error) this.#failed(job, error)
      else this.#finish(job, undefined)
    })
  }

  readonly reset = (policy: ResetPolicy, done: Done<void>): void => {
    const open = this.transaction === "open"
    const hard = policy === "discard" || this.dirty
    if (!hard && !open && !this.lost) return done(undefined, undefined)
    const commits = policy === "commit" && open
    const traits = traitsOf(commits ? "COMMIT" : "ROLLBACK")
    const job = this.#start(undefined, traits, false, (error) => done(error, undefined))
    if (job === undefined) return
    job.phase = "run"
    const clean = () => {
      if (!hard) return this.#finish(job, undefined)
      this.#raw.reset((error) => {
        if (job.finished) return
        if (error) return this.#failed(job, error)
        this.#statements.forget()
        this.#flags = 0
        this.#configure(job)
      })
    }
    // A reset of the connection rolls back by itself.
    if (commits || (open && !hard)) {
      this.#send(job, (answer) => this.#query(commits ? "COMMIT" : "ROLLBACK", answer), clean)
    } else clean()
  }

  readonly cancel = (done: Done<void>): void => {
    const job = this.#job
    if (this.#cancelling !== undefined) {
      this.#cancelling.push(done)
      return
    }
    if (job === undefined || this.lost) return done(undefined, undefined)
    const waiting: Array<Done<void>> = this.#cancelling = [done]
    job.cancelled = true
    job.discard?.()
    const settled = (error: DbError | undefined) => {
      this.#cancelling = undefined
      for (const waiter of waiting) waiter(error, undefined)
    }
    // A fiber of its own, on the real clock: a server does not wait for a test's.
    Effect.runFork(stop(this.#endpoint, this.#link, this.id, job)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return settled(undefined)
      const error = Cause.failureOption(exit.cause)
      settled(
        error._tag === "Some" ? error.value : failure({
          _tag: "ConnectionError",
          reason: "Unknown",
          database: this.#endpoint.config.name,
          what: `a statement on ${this.#endpoint.where} could not be stopped`,
          outcome: "Unknown",
          cause: Cause.squash(exit.cause)
        })
      )
    })
  }

  readonly close = (done: Done<void>): void => {
    const { socket } = this.#link
    // There is no polite way out of a statement that runs.
    if (this.#job !== undefined) this.destroy()
    if (this.lost) return done(undefined, undefined)
    this.#leaving = true
    this.lost = true
    const timer = setTimeout(() => socket.destroy(), goodbyeMillis)
    socket.once("close", () => {
      clearTimeout(timer)
      done(undefined, undefined)
    })
    // A stream that was left paused would hide the server's goodbye.
    this.#raw.resume()
    this.#raw.end()
  }

  readonly destroy = (): void => {
    this.#leaving = true
    if (this.lost) this.#link.socket.destroy()
    else this.#broken(new Error("the connection was dropped"))
  }

  #start(text: string | undefined, traits: Traits, begins: boolean, end: Done<unknown>): Job | undefined {
    if (this.lost) {
      end(
        this.#lostBy === undefined
          ? failure({
            _tag: "ConnectionError",
            reason: "Lost",
            database: this.#endpoint.config.name,
            what: `the connection to ${this.#endpoint.where} is gone`,
            outcome: "NotSent"
          })
          // With the link the server has rolled back what was open on it.
          : this.#linkError(this.#lostBy, this.transaction === "open" ? "RolledBack" : "NotSent"),
        undefined
      )
      return undefined
    }
    return this.#job = new Job(text, traits, begins || this.transaction === "open", end)
  }

  #finish(job: Job, error: DbError | undefined, value?: unknown): void {
    if (job.finished) return
    if (this.#job === job) this.#job = undefined
    job.finish(error, value)
  }

  /** Checks a request, and sends what goes ahead of its statement. */
  #begin(request: Request, end: Done<unknown>, next: (job: Job, params: Array<unknown>) => void): void {
    const traits = this.#statements.get(request.text)?.traits ?? traitsOf(request.text)
    const job = this.#start(request.text, traits, request.begin !== undefined, end)
    if (job === undefined) return
    if (!this.#charset.startsWith("utf8") && !traits.control && !/^\s*set\b/i.test(request.text)) {
      return this.#finish(
        job,
        failure({
          _tag: "QueryError",
          reason: "DataError",
          database: this.#endpoint.config.name,
          statement: request.text,
          what: `the character set was set to ${this.#charset}, which cannot hold every text`,
          advice: "leave the character set alone: SET NAMES utf8mb4",
          outcome: "NotSent"
        })
      )
    }
    const params = encode(request.params, this.#link.mariadb)
    if (params instanceof Refused) {
      return this.#finish(
        job,
        this.#parameterError(job, `parameter ${params.index + 1} is ${params.what}`, params.advice)
      )
    }
    const limit = this.#facts!.maxPacket
    if (exceeds(request.text, params, limit)) {
      return this.#finish(
        job,
        failure({
          _tag: "QueryError",
          reason: "DataError",
          database: this.#endpoint.config.name,
          statement: request.text,
          what: `the statement with its parameters is larger than the server takes (${limit} bytes)`,
          advice: "send it in parts, or raise max_allowed_packet on the server",
          outcome: "NotSent"
        })
      )
    }
    const ahead: Array<string> = []
    const base = this.#facts!.limits
    // COMMIT and its like take what is in force: a round trip more would only make them slower.
    const lock = request.lockTimeout === 0 ? undefined : request.lockTimeout
    const limits = traits.control && this.#limits !== undefined ? this.#limits : {
      statement: request.statementTimeout ?? base.statement,
      rowLock: lock ?? base.rowLock,
      tableLock: lock ?? base.tableLock
    }
    if (this.#limits === undefined || !sameLimits(this.#limits, limits)) {
      ahead.push(limitText(limits, this.#link.mariadb))
    }
    if (request.begin !== undefined) ahead.push(request.begin)
    if (!this.#link.mariadb && !traits.control) job.limit = limits.statement
    if (ahead.length === 0) return next(job, params)
    this.#send(job, (answer) => this.#query(ahead.join("; "), answer), () => {
      this.#limits = limits
      next(job, params)
    })
  }

  #parameterError(job: Job, what: string, advice: string): DbError {
    return failure({
      _tag: "QueryError",
      reason: "Parameter",
      database: this.#endpoint.config.name,
      statement: job.part?.text ?? job.text,
      what,
      advice,
      outcome: job.applied ? "Unknown" : "NotSent"
    })
  }

  #single(
    job: Job,
    request: Request,
    params: Array<unknown>,
    next: (answer: unknown, isSeveral: boolean) => void
  ): void {
    this.#dispatch(
      job,
      request,
      params,
      (start) =>
        this.#send(job, start, (results, fields) => {
          let answer: unknown
          try {
            answer = shape(request, results, fields, this.#endpoint.config.jsonNumbers)
          } catch (cause) {
            return this.#finish(job, this.#unreadable(job, cause))
          }
          next(answer, isSeveral(results, fields))
        })
    )
  }

  /** A statement that has run, with an answer that is not read otherwise than it is. */
  #unreadable(job: Job, cause: unknown): DbError {
    return failure({
      _tag: "QueryError",
      reason: "DataError",
      database: this.#endpoint.config.name,
      statement: job.part?.text ?? job.text,
      what: cause instanceof Inexact
        ? `a value of the answer is ${cause.message}`
        : "a value of the answer could not be read",
      outcome: "Unknown",
      cause
    })
  }

  /** A text that may be several statements: it is cut, where the server would not do that by itself. */
  #read(job: Job, request: Request, params: Array<unknown>): void {
    const go = (script: Script | undefined) => {
      if (script === undefined || script.parts.length < 2) {
        return this.#single(job, request, params, (answer) => this.#finish(job, undefined, answer))
      }
      job.traits = script.traits
      if (params.length > 0) return this.#each(job, request, params, script)
      // Sent as it is: only where there are parameters does the protocol take one statement at a time.
      this.#single(job, { ...request, prepare: false }, params, (answer) => this.#finish(job, undefined, answer))
    }
    const script = read(request.text)
    if (script !== "by mode") return go(script)
    this.#raw.config.rowsAsArray = true
    this.#send(job, (answer) => this.#query("SELECT @@sql_mode", answer), (results) => {
      // A SELECT of one value.
      const mode = String((results as ReadonlyArray<ReadonlyArray<unknown>>)[0]?.[0])
      go(readUnder(request.text, mode))
    })
  }

  /** Sends the statements of a text one after the other, each with its own parameters. The first that fails is the last. */
  #each(job: Job, request: Request, params: Array<unknown>, { parts, placeholders }: Script): void {
    if (placeholders !== params.length) return this.#miscounted(job, placeholders, params.length)
    const answers: Array<unknown> = []
    const next = (index: number, from: number): void => {
      const part = parts[index]
      if (part === undefined) return this.#finish(job, undefined, answers)
      const to = from + part.placeholders
      job.part = { text: part.text, number: index + 1, of: parts.length }
      this.#single(job, { ...request, text: part.text }, params.slice(from, to), (answer, isSeveral) => {
        job.results++
        // A CALL gives as many results as its procedure, as it does where the server cuts the text.
        if (isSeveral) answers.push(...answer as ReadonlyArray<unknown>)
        else answers.push(answer)
        next(index + 1, to)
      })
    }
    next(0, 0)
  }

  #miscounted(job: Job, expected: number, given: number): void {
    const what = `the statement has ${expected} placeholders, and ${given} parameters came with it`
    this.#finish(job, this.#parameterError(job, what, "give one parameter for each ?"))
  }

  /** Prepares where that is asked for, and gives `run` what sends the statement. */
  #dispatch(
    job: Job,
    request: Request,
    params: Array<unknown>,
    run: (start: (answer: Answer | undefined) => Query) => void
  ): void {
    const go = (start: (answer: Answer | undefined) => Query) => {
      if (job.cancelled) return this.#finish(job, this.#stopped(job))
      job.phase = "run"
      // Read by mysql2 when a command begins, and one runs at a time.
      this.#raw.config.rowsAsArray = request.mode === "values"
      if (job.traits.dirties) {
        this.dirty = true
        if (takesLock(request.text)) this.holds = true
      } else if (this.holds && releasesLocks(request.text)) this.holds = false
      if (job.traits.limits) this.#foreignLimits = true
      job.sentAt = performance.now()
      if (job.limit > 0 && job.timer === undefined) {
        job.timer = setTimeout(() => {
          job.timedOut = true
          this.cancel(() => {})
        }, job.limit)
      }
      run(start)
    }
    const count = job.part === undefined ? () => job.results++ : undefined
    const asText = () => go((answer) => this.#query(request.text, answer, count))
    if (params.length === 0 && (!request.prepare || job.traits.control)) return asText()
    const cached = this.#statements.get(request.text)
    const use = (prepared: NonNullable<typeof cached>) => {
      if (!prepared.kept) job.whenFinished.push(() => this.lost || this.#statements.release(prepared))
      const expected = prepared.info.parameters.length
      if (expected !== params.length) return this.#miscounted(job, expected, params.length)
      // The types of mysql2 want to know the shape of the rows.
      go((answer) => named(prepared.info.execute(params, answer as never) as unknown as Query))
    }
    if (cached !== undefined) return use(cached)
    const prepare = (again: boolean) => {
      job.phase = "prepare"
      this.#statements.prepare(request.text, request.prepare, (error, prepared) => {
        if (job.finished) return
        if (prepared !== undefined) return use(prepared)
        // A kind of statement that cannot be prepared; without parameters it need not be.
        if (error?.errno === 1295 && params.length === 0) return asText()
        // The server has no room for another one: give it ours.
        if (error?.errno === 1461 && again && this.#statements.closeAll()) return prepare(false)
        this.#failed(job, error ?? new Error("the statement was not prepared"))
      })
    }
    prepare(true)
  }

  /** Sends one command of a job, unless the job is to stop. */
  #send(job: Job, command: (answer: Answer) => unknown, next: (results: Results, fields: Fields) => void): void {
    if (job.finished) return
    if (job.cancelled) return this.#finish(job, this.#stopped(job))
    command((error, results, fields) => {
      if (job.finished) return
      if (error) return this.#failed(job, error)
      this.#notice(job, results, fields)
      next(results, fields)
    })
  }

  /** A text in the text protocol. */
  #query(text: string, answer: Answer | undefined, onResult?: () => void): Query {
    // The types of mysql2 want to know the shape of the rows.
    const query = named(this.#raw.query(textOptions(text), answer as never) as Query)
    if (onResult !== undefined) query.on("fields", onResult)
    return query
  }

  /** Remembers what the server said of the transaction and of the connection's state. */
  #notice(job: Job, results: Results, fields: Fields): void {
    const all: ReadonlyArray<unknown> = isSeveral(results, fields) ? results : [results]
    const last = all.at(-1)
    this.#flags = isHeader(last) ? last.serverStatus : this.#link.flags.last
    for (const result of all) {
      if (isHeader(result)) this.#charset = charsetIn(result) ?? this.#charset
    }
    if (job.text === undefined || job.phase !== "run") return
    for (const result of all) {
      if (isHeader(result) && (result.serverStatus & stateChangedFlag) !== 0) this.dirty = true
    }
  }

  #configure(job: Job): void {
    const { config } = this.#endpoint
    this.#raw.config.rowsAsArray = true
    this.#send(job, (answer) => this.#query(setupText(config, this.#link, this.#facts), answer), (results) => {
      // Several statements were sent; the last of them is a SELECT of one row.
      const rows = (results as ReadonlyArray<unknown>).at(-1) as ReadonlyArray<ReadonlyArray<unknown>>
      const facts = factsOf(rows[0]!)
      const before = this.#facts
      this.#facts ??= facts
      this.#limits = facts.limits
      this.id = facts.id
      this.serverVersion = facts.version
      this.dirty = false
      this.holds = false
      this.#foreignLimits = false
      if (before !== undefined && before.database !== facts.database) {
        // Chosen by USE, where the configuration has none: MySQL cannot go back to that.
        return this.#finish(
          job,
          failure({
            _tag: "ConnectionError",
            reason: "Unsupported",
            database: config.name,
            what: "a connection without a database cannot leave the one it was given by USE",
            outcome: "NotSent"
          })
        )
      }
      this.#finish(job, undefined)
    })
  }

  #failed(job: Job, error: RawError): void {
    // What mysql2 itself reports has no number, and leaves the link in no known state.
    if (error.fatal === true || error.errno === undefined) return this.#broken(error)
    const known = lookup(error)
    const { traits } = job
    const ran = job.phase === "run"
    const limits = this.#limits ?? this.#facts?.limits
    if (job.phase === "ahead") {
      this.#limits = undefined
      // The isolation level of a BEGIN that failed waits for the next one.
      this.dirty = true
    }
    const place = { database: this.#endpoint.config.name, statement: job.part?.text ?? job.text }
    const ranMillis = performance.now() - job.sentAt
    const verdict = job.timedOut && error.errno === 1317
      ? failure({
        _tag: "TimeoutError",
        phase: "Statement",
        limitMillis: job.limit,
        ...place,
        what: error.message,
        outcome: job.applied ? "Unknown" : "RolledBack",
        code: error.errno,
        cause: error
      })
      : classify(error, {
        ...place,
        commit: ran && traits.commit,
        note: job.applied && job.part !== undefined
          ? `statement ${job.part.number} of the ${job.part.of} of its text; those before it have run`
          : undefined,
        outcome: job.applied ? "Unknown" : ran || job.inTransaction ? undefined : "NotSent",
        statementTimeout: keptLimit(limits?.statement ?? 0, ranMillis, this.#foreignLimits),
        lockTimeout: keptLimit(limits?.rowLock ?? 0, ranMillis, this.#foreignLimits)
      })
    job.verdict = verdict
    if (verdict._tag === "ConnectionError" && verdict.reason !== "ReadOnlyServer") return this.#broken(error)
    const certain = !job.inTransaction || (known.goesOn === true && traits.transactional)
    if (certain && !traits.several && !traits.dirties) return this.#finish(job, verdict)
    this.#askStatus(job, 3)
  }

  /** An error does not tell whether the transaction is still open: some end it, by settings of the server. */
  #askStatus(job: Job, tries: number): void {
    this.#query("DO 0", (error, results) => {
      if (job.finished) return
      // A KILL QUERY for the failed statement can hit this one.
      if (error) return error.fatal !== true && tries > 0 ? this.#askStatus(job, tries - 1) : this.#broken(error)
      if (isHeader(results)) this.#flags = results.serverStatus
      this.#finish(job, job.verdict)
    })
  }

  #broken(error: RawError): void {
    if (this.lost) return
    this.lost = true
    if (!this.#leaving) this.#lostBy = error
    this.#link.socket.destroy()
    const job = this.#job
    if (job !== undefined) this.#finish(job, job.verdict ?? this.#lostError(job, error))
    if (!this.#leaving) this.onLost?.(this.#linkError(error, "Unknown"))
  }

  #linkError(error: RawError, outcome: Outcome): ConnectionError {
    return classifyLink(error, {
      database: this.#endpoint.config.name,
      where: `the connection to ${this.#endpoint.where} broke`,
      outcome,
      otherwise: "Lost"
    })
  }

  #lostError(job: Job, error: RawError): DbError {
    const { inTransaction, traits } = job
    const ran = job.phase === "run" || job.applied
    if (ran && traits.commit) {
      return failure({
        _tag: "QueryError",
        reason: "CommitUnknown",
        database: this.#endpoint.config.name,
        what: `the connection to ${this.#endpoint.where} broke during COMMIT`,
        outcome: "Unknown",
        statement: job.text,
        cause: error
      })
    }
    const harmless = !ran || (inTransaction ? traits.transactional : traits.control && traits.boundary)
    return this.#linkError(error, harmless ? inTransaction ? "RolledBack" : "NotSent" : "Unknown")
  }

  #stopped(job: Job): DbError {
    return failure({
      _tag: "QueryError",
      reason: "Unknown",
      database: this.#endpoint.config.name,
      statement: job.text,
      what: "the statement was stopped",
      advice: "run it again if it is still wanted",
      outcome: job.applied ? "Unknown" : job.inTransaction || job.phase === "run" ? "RolledBack" : "NotSent"
    })
  }
}
