/**
 * One connection: requests one at a time, with the transaction's state as the server tells it.
 */
import type { EventEmitter } from "node:events"
import * as Tedious from "tedious"
import type { ColumnMetadata } from "tedious/lib/token/colmetadata-token-parser.js"
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError, Outcome } from "../../../DbError.js"
import type { Cursor, Done, Request, TransactionStatus } from "../../../driver/Driver.js"
import { refusedParameter } from "../../error/parameter.js"
import { keptLimit } from "../failure.js"
import { LibraryConnection } from "../library/LibraryConnection.js"
import { classify, classifyLink, firstOf } from "./codes.js"
import { RowCursor } from "./cursor.js"
import { Exchange } from "./exchange.js"
import type { Link } from "./link.js"
import { shape } from "./results.js"
import { factsText, lockText, setupText } from "./settings.js"
import { type Prepared, Statements } from "./statements.js"
import { traitsOf } from "./texts.js"
import { readOnlyMark } from "./transaction.js"
import {
  binaryNull,
  declarationOf,
  encode,
  mostParameters,
  mostPreparedParameters,
  type Parameter,
  Refused
} from "./values.js"
import * as Verdicts from "./verdicts.js"
import { RowBuilder } from "./wire.js"

const { TYPES } = Tedious

/** The handle of a prepared statement that the server does not know (any more). */
const unknownHandle = 8179

/** "Implicit conversion is not allowed" and "operand type clash": found before the statement runs. */
const typeClashes: ReadonlySet<unknown> = new Set([206, 257])

/** What the driver sends on its own account: nothing of it writes, nothing of it stays. */
const ownTraits = traitsOf("SELECT 1")

/** Where the parts of an answer go. */
interface Receiver {
  readonly columns?: (request: Tedious.Request, columns: ReadonlyArray<ColumnMetadata>) => void
  readonly row?: (columns: ReadonlyArray<{ readonly value: unknown }>) => void
  readonly returned?: (value: unknown) => void
  readonly ended: (rowCount: number | undefined) => void
  /** Takes an error that is not one for the caller. */
  readonly failed?: (error: Error) => boolean
}

/** tedious gives an array; its types allow for a record by name, which it is told not to make. */
type Row = ReadonlyArray<{ readonly value: unknown }>

export class MssqlConnection extends LibraryConnection<Exchange, ReadonlyArray<Parameter>, RowCursor> {
  /** Whether the database takes writes. */
  updateable = true

  private readonly config: DbConfig
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: it has the password.
  readonly #raw: Tedious.Connection
  private readonly statements: Statements
  /** The wait for a lock that is in force, in milliseconds; `undefined` where that is not known. */
  private lock: number | undefined = undefined
  /** The transaction that is open was begun for reading only. */
  private isReadOnly = false

  constructor(config: DbConfig, where: string, link: Link) {
    const statements = new Statements(config.prepareCacheSize)
    super({
      database: config.name,
      where,
      socket: link.socket,
      Exchange,
      traitsOf,
      ownTraits,
      rollbackTraits: ownTraits,
      classifyLink
    })
    this.config = config
    this.#raw = link.raw
    this.statements = statements
    link.raw.on("error", (error: Error) => this.broken(error))
    // An event that is missing in the types of tedious.
    const events: EventEmitter = link.raw
    events.on("rollbackTransaction", () => {
      if (this.exchange !== undefined) this.exchange.isRolledBack = true
    })
    link.raw.on("end", () => this.broken(new Error("the server closed the connection")))
  }

  get transaction(): TransactionStatus {
    return this.#raw.inTransaction ? "open" : "idle"
  }

  protected run(exchange: Exchange, request: Request, parameters: ReadonlyArray<Parameter>): void {
    const sets: Array<Array<unknown>> = []
    let builder: RowBuilder | undefined
    this.dispatch(exchange, request, parameters, {
      columns: (_, columns) => {
        builder = new RowBuilder(columns, request.mode !== "values", request.safeIntegers)
        sets.push([])
      },
      row: (columns) => sets[sets.length - 1]!.push(builder!.row(columns)),
      ended: (rowCount) => {
        this.finish(exchange, undefined, shape(request, exchange, sets, rowCount ?? 0))
      }
    })
  }

  protected makeCursor(exchange: Exchange, _request: Request, opened: Done<Cursor>): RowCursor {
    return new RowCursor(opened, { stop: (done) => this.cancel(done), stopped: () => this.stopped(exchange) })
  }

  protected stream(
    exchange: Exchange,
    request: Request,
    parameters: ReadonlyArray<Parameter>,
    cursor: RowCursor
  ): void {
    this.dispatch(exchange, request, parameters, {
      columns: (sent, columns) =>
        cursor.columns(sent, new RowBuilder(columns, request.mode !== "values", request.safeIntegers)),
      row: (columns) => cursor.row(columns),
      ended: () => this.finish(exchange, undefined)
    })
  }

  protected askAlive(exchange: Exchange): void {
    this.batch(exchange, "SELECT 1", { ended: () => this.finish(exchange, undefined) })
  }

  /** Not left to the reset: COMMIT and ROLLBACK have answers of their own. */
  protected endTransaction(exchange: Exchange, commits: boolean, next: () => void): void {
    exchange.sent = true
    this.batch(exchange, commits ? "COMMIT TRANSACTION" : "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION", { ended: next })
  }

  /** The request with which sp_reset_connection travels sets what tedious asks for, the isolation level with it. */
  protected resetSession(exchange: Exchange, next: () => void): void {
    this.#raw.reset((error) => {
      if (exchange.finished) return
      if (error !== undefined && error !== null) return this.failed(exchange, error)
      this.statements.forget()
      next()
    })
  }

  protected leave(): void {
    // TDS has no message for it: the end of the stream is it.
    this.#raw.close()
  }

  cancel(done: Done<void>): void {
    const { exchange } = this
    if (exchange === undefined || this.lost) return done(undefined, undefined)
    exchange.whenFinished.push(() => done(undefined, undefined))
    if (exchange.cancelled) return
    exchange.cancelled = true
    // Sends the attention and awaits its acknowledgement; the request ends with ECANCEL then, and nothing is under way.
    this.#raw.cancel()
  }

  protected admit(exchange: Exchange, request: Request, next: (parameters: ReadonlyArray<Parameter>) => void): void {
    const { traits } = exchange
    if (this.transaction === "idle") this.isReadOnly = false
    const begin = request.begin ?? (traits.control ? request.text : "")
    const isReading = this.config.access === "read-only" || this.isReadOnly ||
      request.begin?.includes(readOnlyMark) === true
    if (isReading && !traits.reads) return this.finish(exchange, Verdicts.readOnly(this.config, request.text))
    if (request.params.length > mostParameters) {
      return this.finish(exchange, Verdicts.tooMany(this.config, exchange, request.params.length))
    }
    const parameters = encode(request.params, this.#raw.databaseCollation)
    if (parameters instanceof Refused) {
      const refused = refusedParameter(parameters.index, parameters.what)
      return this.finish(exchange, Verdicts.parameter(this.config, exchange, refused, parameters.advice))
    }
    const { limits } = this.config
    exchange.limit = request.statementTimeout ?? limits.statementTimeout
    const lock = request.lockTimeout === undefined || request.lockTimeout === 0
      ? limits.lockTimeout
      : request.lockTimeout
    const ahead: Array<string> = []
    // COMMIT and its like take what is in force: a round trip more would only make them slower.
    if (!traits.control && this.lock !== lock) ahead.push(lockText(lock))
    if (request.begin !== undefined) ahead.push(request.begin)
    const go = (): void => {
      if (begin.includes(readOnlyMark)) this.isReadOnly = true
      this.giveUpEvicted(exchange, () => next(parameters))
    }
    if (ahead.length === 0) return go()
    this.batch(exchange, ahead.join(";\n"), {
      ended: () => {
        if (!traits.control) this.lock = lock
        if (request.begin !== undefined && traitsOf(request.begin).dirties) this.dirty = true
        go()
      }
    })
  }

  /** Frees what the server keeps for statements that are no longer remembered. */
  private giveUpEvicted(exchange: Exchange, next: () => void): void {
    const handle = this.statements.evicted.pop()
    if (handle === undefined) return next()
    const request = this.make(exchange, "sp_unprepare", {
      ended: () => this.giveUpEvicted(exchange, next),
      // It is gone already.
      failed: (error) => {
        if (firstOf(error).number !== unknownHandle) return false
        this.giveUpEvicted(exchange, next)
        return true
      }
    })
    request.addParameter("", TYPES.Int, handle)
    if (this.sendable(exchange)) this.#raw.callProcedure(request)
  }

  /** Sends the statement: as text, by `sp_executesql`, or by the handle it was prepared under. */
  private dispatch(
    exchange: Exchange,
    request: Request,
    parameters: ReadonlyArray<Parameter>,
    receiver: Receiver
  ): void {
    if (!this.sendable(exchange)) return
    exchange.sent = true
    if (exchange.traits.takesLock) this.holds = true
    this.sending(exchange)
    if (parameters.length === 0) return this.batch(exchange, request.text, receiver)
    this.call(exchange, request, this.typed(request.text, parameters), receiver)
  }

  /** With NULLs of the type that the server is known to want. */
  private typed(text: string, parameters: ReadonlyArray<Parameter>): ReadonlyArray<Parameter> {
    const binaries = this.statements.binaries.get(text)
    return binaries === undefined
      ? parameters
      : parameters.map((one) => one.untyped === true && binaries.has(one.name) ? binaryNull(one.name) : one)
  }

  private call(exchange: Exchange, request: Request, parameters: ReadonlyArray<Parameter>, given: Receiver): void {
    const receiver: Receiver = {
      ...given,
      failed: (error) => {
        const clashes = typeClashes.has(firstOf(error).number) && parameters.some((one) => one.untyped === true)
        // Only where nothing has run, and nothing has ended.
        if (!clashes || exchange.counted > 0 || exchange.inTransaction !== (this.transaction === "open")) return false
        this.askTypes(exchange, request, parameters, error, given)
        return true
      }
    }
    const declaration = declarationOf(parameters)
    const isPrepared = request.prepare && parameters.length <= mostPreparedParameters
    const entry = isPrepared ? this.statements.use(request.text, declaration) : undefined
    const add = (sent: Tedious.Request): Tedious.Request => {
      for (const { name, options, type, value } of parameters) sent.addParameter(name, type, value, options)
      return sent
    }
    const direct = (): void => {
      if (this.sendable(exchange)) this.#raw.execSql(add(this.make(exchange, request.text, receiver)))
    }
    if (entry === undefined || entry.uses === 1) return direct()
    if (entry.handle === undefined) return this.prepareAndRun(exchange, entry, add, receiver)
    const sent = this.make(exchange, "sp_execute", {
      ...receiver,
      failed: (error) => {
        if (firstOf(error).number !== unknownHandle) return receiver.failed!(error)
        // Nothing has run: the server found no statement.
        entry.handle = undefined
        direct()
        return true
      }
    })
    sent.addParameter("", TYPES.Int, entry.handle)
    this.#raw.callProcedure(add(sent))
  }

  /** Asks the server which of its NULLs a statement wants as binary, and runs it again where there are such. */
  private askTypes(
    exchange: Exchange,
    request: Request,
    parameters: ReadonlyArray<Parameter>,
    clash: Error,
    receiver: Receiver
  ): void {
    const binaries = new Set<string>()
    let name = -1
    let type = -1
    const sent = this.make(exchange, "sp_describe_undeclared_parameters", {
      columns: (_, columns) => {
        name = columns.findIndex((column) => column.colName === "name")
        type = columns.findIndex((column) => column.colName === "suggested_system_type_name")
      },
      row: (row) => {
        if (/^(?:var)?binary|^image|^timestamp|^rowversion/i.test(String(row[type]?.value))) {
          binaries.add(String(row[name]?.value).slice(1))
        }
      },
      ended: () => {
        if (!parameters.some((one) => one.untyped === true && binaries.has(one.name))) {
          return this.failed(exchange, clash)
        }
        this.statements.learn(request.text, binaries)
        if (this.sendable(exchange)) this.call(exchange, request, this.typed(request.text, parameters), receiver)
      },
      // What the server cannot tell leaves the error that there was.
      failed: () => {
        this.failed(exchange, clash)
        return true
      }
    })
    sent.addParameter("tsql", TYPES.NVarChar, request.text)
    if (this.sendable(exchange)) this.#raw.callProcedure(sent)
  }

  private prepareAndRun(
    exchange: Exchange,
    entry: Prepared,
    add: (sent: Tedious.Request) => Tedious.Request,
    receiver: Receiver
  ): void {
    const sent = this.make(exchange, "sp_prepexec", {
      ...receiver,
      returned: (value) => {
        if (typeof value === "number") entry.handle = value
      }
    })
    sent.addOutputParameter("", TYPES.Int, null)
    sent.addParameter("", TYPES.NVarChar, entry.declaration)
    sent.addParameter("", TYPES.NVarChar, entry.text)
    this.#raw.callProcedure(add(sent))
  }

  private batch(exchange: Exchange, text: string, receiver: Receiver): void {
    if (this.sendable(exchange)) this.#raw.execSqlBatch(this.make(exchange, text, receiver))
  }

  /** One message to the server on behalf of an exchange. */
  private make(exchange: Exchange, text: string, receiver: Receiver): Tedious.Request {
    const request = new Tedious.Request(text, (error, rowCount) => {
      if (exchange.finished) return
      if (error === undefined || error === null) return receiver.ended(rowCount)
      if (receiver.failed?.(error) !== true) this.failed(exchange, error)
    })
    const { columns, returned, row } = receiver
    // The types of tedious know columns by name, which it is told not to make.
    request.on("columnMetadata", (all) => {
      exchange.hasColumns = true
      columns?.(request, all as ReadonlyArray<ColumnMetadata>)
    })
    if (row !== undefined) request.on("row", (all: unknown) => row(all as Row))
    if (returned !== undefined) request.on("returnValue", (_, value) => returned(value))
    const counted = (rowCount: number | undefined): void => {
      if (rowCount !== undefined) exchange.count(rowCount)
    }
    request.on("done", counted)
    request.on("doneInProc", counted)
    return request
  }

  protected configure(exchange: Exchange, isNew: boolean): void {
    const text = setupText(this.config)
    this.lock = this.config.limits.lockTimeout
    const next = (): void => isNew ? this.askFacts(exchange) : this.finish(exchange, undefined)
    if (text === "") next()
    else this.batch(exchange, text, { ended: next })
  }

  private askFacts(exchange: Exchange): void {
    this.batch(exchange, factsText, {
      columns: () => {},
      row: ([id, version, updateability]) => {
        this.id = Number(id?.value)
        this.serverVersion = String(version?.value)
        this.updateable = updateability?.value !== "READ_ONLY"
      },
      ended: () => this.finish(exchange, undefined)
    })
  }

  private failed(exchange: Exchange, error: Error): void {
    const first = firstOf(error)
    // What has no number is not of the server: the link is in no known state, except after a cancel.
    if (first.code === "ECANCEL") return this.finish(exchange, Verdicts.stopped(this.config, exchange))
    if (first.code === "EPARAM" || first instanceof TypeError) {
      // tedious has ended the message with the mark that it is to be ignored.
      return this.finish(
        exchange,
        Verdicts.parameter(this.config, exchange, { what: "a parameter has no form in the type it was given" })
      )
    }
    if (first.number === undefined) return this.broken(error)
    if (!exchange.sent) this.lock = undefined
    const lock = this.lock ?? this.config.limits.lockTimeout
    const verdict = classify(error, {
      database: this.config.name,
      statement: exchange.text,
      commit: exchange.sent && exchange.traits.commit,
      outcome: Verdicts.outcomeOf(exchange, this.transaction),
      // 0 is that of a statement which is not to wait at all.
      lockTimeout: lock === 0 && !this.hasForeignLimits
        ? 0
        : keptLimit(lock, performance.now() - exchange.sentAt, this.hasForeignLimits)
    })
    if (verdict._tag === "ConnectionError" && verdict.reason !== "ReadOnlyServer") return this.broken(error, verdict)
    this.finish(exchange, verdict)
  }

  protected override broken(error: Error, verdict?: DbError): void {
    if (this.lost) return
    super.broken(error, verdict)
    this.#raw.close()
  }

  protected stopped(exchange: Exchange): DbError {
    return Verdicts.stopped(this.config, exchange)
  }

  protected lostOutcome(exchange: Exchange): Outcome | "COMMIT" {
    return Verdicts.lostOutcome(exchange)
  }
}
