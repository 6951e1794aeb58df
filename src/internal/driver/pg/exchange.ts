/**
 * One exchange with the server: what was sent in one write, and what is made of the answers until the server is ready
 * for the next.
 *
 * @since 0.1.0
 */
import type { DbError, Outcome } from "../../../DbError.js"
import type { Done, Request } from "../../../driver/Driver.js"
import { failure } from "../Failure.js"
import { Inexact } from "../JsonText.js"
import { emptyRows } from "../row.js"
import type { ServerError } from "./codes.js"
import type { PgConnection } from "./connection.js"
import type { Field, ReadRow, Result, Values } from "./shape.js"
import { noColumns, result, Shape } from "./shape.js"
import type { Text } from "./text.js"
import { Unreadable } from "./unreadable.js"
import { writer } from "./writer.js"

/**
 * What is sent and received as one. The connection calls these as the messages arrive; `ready` or `lost` is the last.
 *
 * @since 0.1.0
 * @category models
 */
export abstract class Exchange {
  /** The server's first error. */
  error: ServerError | undefined

  constructor(readonly connection: PgConnection) {}

  parseComplete(): void {}
  bindComplete(): void {}
  typed(_types: ReadonlyArray<number>): void {}
  described(_fields: ReadonlyArray<Field> | undefined): void {}
  /** `length`: of the message, in bytes. */
  row(_values: Values, _length: number): void {}
  complete(_tag: string | undefined): void {}
  suspended(): void {}
  copyIn(): void {}
  copyOut(): void {}
  failed(error: ServerError): void {
    this.error ??= error
  }
  abstract ready(): void
  /** `cause` is the server's last word or the socket's error. */
  abstract lost(cause: Error | undefined): void
}

/**
 * A bare Sync: the cheapest question.
 *
 * @since 0.1.0
 * @category models
 */
export class Ping extends Exchange {
  constructor(connection: PgConnection, private readonly done: (error: ServerError | DbError | undefined) => void) {
    super(connection)
  }

  start(): void {
    writer.sync()
    this.connection.send(this)
  }

  ready(): void {
    this.done(this.error)
  }

  lost(cause: Error | undefined): void {
    this.done(this.connection.broken(cause, { outcome: "NotSent", statement: undefined, commit: false }))
  }
}

/**
 * The rows of a result that is being received, and what went wrong in reading them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const readError = (connection: PgConnection, cause: unknown, statement: string): DbError =>
  failure({
    _tag: "QueryError",
    reason: "DataError",
    what: cause instanceof Unreadable || cause instanceof Inexact
      ? `a value of the answer is ${cause.message}`
      : "a value of the answer could not be read",
    outcome: "Unknown",
    database: connection.failures.database,
    statement,
    cause
  })

/**
 * Reads rows that were kept as they came, in place, when the types of their columns are known. Gives what went wrong.
 *
 * @since 0.2.0
 * @category decoding
 */
export const decode = (
  connection: PgConnection,
  request: Pick<Request, "text" | "mode" | "safeIntegers">,
  rows: Array<unknown>,
  shape: Shape
): DbError | undefined => {
  try {
    // After the question everything is known.
    const read = shape.reader(request.mode, request.safeIntegers, connection.types)!
    // What was kept are the values of a row.
    for (let i = 0; i < rows.length; i++) rows[i] = read(rows[i] as Values)
    return undefined
  } catch (cause) {
    return readError(connection, cause, request.text)
  }
}

/**
 * What a COPY from or to the client is answered with.
 *
 * @param outcome `Unknown` for a COPY to the client: it has done what stands in it (an INSERT with RETURNING, perhaps), and
 * its transaction can be committed
 *
 * @since 0.1.0
 * @category constructors
 */
export const copyError = (connection: PgConnection, statement: string, outcome: Outcome): DbError =>
  failure({
    _tag: "QueryError",
    reason: "Unknown",
    what: "COPY from STDIN or to STDOUT is not spoken here: its data would be lost",
    outcome,
    database: connection.failures.database,
    statement
  })

/**
 * A text sent by the simple protocol: several statements, or one that is not to be prepared.
 *
 * @since 0.1.0
 * @category models
 */
export class Script extends Exchange {
  private readonly results: Array<Result> = []
  private rows: Array<unknown> = emptyRows()
  private shape: Shape = noColumns
  private read: ReadRow | undefined
  /** Results with columns of types that are not known yet: their rows are as they came. */
  private readonly raw: Array<{ readonly rows: Array<unknown>; readonly shape: Shape }> = []
  private fault: DbError | undefined
  private committed = false
  private readonly wasOpen: boolean
  /** The answer to what goes ahead has not been seen yet. */
  private isAhead: boolean

  /** @param ahead goes ahead in the same text, and so in the same implicit transaction; its answer is not given */
  constructor(
    connection: PgConnection,
    private readonly request: Pick<Request, "text" | "mode" | "safeIntegers">,
    private readonly text: Text,
    private readonly done: Done<unknown>,
    private readonly ahead = ""
  ) {
    super(connection)
    this.wasOpen = connection.transaction !== "idle"
    this.isAhead = ahead !== ""
  }

  start(): void {
    writer.query(this.ahead + this.request.text)
    this.connection.sendStatement(this, this.text)
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.shape = new Shape(fields ?? [])
    this.read = undefined
  }

  override row(values: Values): void {
    if (this.isAhead) return
    if (this.raw.at(-1)?.rows === this.rows) {
      this.rows.push(values)
      return
    }
    try {
      this.read ??= this.shape.reader(this.request.mode, this.request.safeIntegers, this.connection.types)
      if (this.read === undefined) this.raw.push({ rows: this.rows, shape: this.shape })
      this.rows.push(this.read === undefined ? values : this.read(values))
    } catch (cause) {
      this.fault ??= readError(this.connection, cause, this.request.text)
    }
  }

  override complete(tag: string | undefined): void {
    if (this.isAhead) {
      this.isAhead = false
      return
    }
    this.committed ||= tag === "COMMIT"
    this.results.push(result(tag, this.rows, this.shape))
    this.rows = emptyRows()
    this.shape = noColumns
    this.read = undefined
  }

  override failed(error: ServerError): void {
    const position = Number(error.position) - this.ahead.length
    super.failed(
      // The server counts from the beginning of what was sent.
      this.ahead === "" || !(position > 0) ? error : Object.assign(error, { position: String(position) })
    )
  }

  override copyIn(): void {
    // The server fails it then, and with it what has not been committed.
    this.fault ??= copyError(this.connection, this.request.text, this.outcomeWhenRefused)
    writer.copyFail("not supported")
    this.connection.write()
  }

  override copyOut(): void {
    this.fault ??= copyError(this.connection, this.request.text, "Unknown")
  }

  private get outcomeWhenRefused(): Outcome {
    return this.committed || (!this.wasOpen && this.text.partial) ? "Unknown" : "RolledBack"
  }

  ready(): void {
    const connection = this.connection
    connection.statementEnded(this.text)
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    if (this.error !== undefined) {
      return this.done(
        connection.refused(this.error, {
          outcome: this.outcomeWhenRefused,
          statement: this.request.text,
          commit: this.text.commits
        }),
        undefined
      )
    }
    const [raw] = this.raw
    if (raw === undefined) return this.answer()
    connection.lookup(
      this.raw.flatMap(({ shape }) => shape.unknown(connection.types)),
      undefined,
      this.request.text,
      (failure) => {
        if (failure !== undefined) return this.done(failure, undefined)
        for (const { rows, shape } of this.raw) this.fault ??= decode(connection, this.request, rows, shape)
        if (this.fault === undefined) this.answer()
        else this.done(this.fault, undefined)
      }
    )
  }

  private answer(): void {
    const { connection, results } = this
    const first = results[0]
    if (results.length === 1 && this.text.commits && first!.command === "ROLLBACK") {
      return this.done(connection.failures.commitWasRollback(this.request.text), undefined)
    }
    if (this.request.mode === "raw") {
      return this.done(undefined, results.length === 1 ? first : results.length === 0 ? emptyResult : results)
    }
    this.done(undefined, results.length > 1 ? results.map((one) => one.rows) : first === undefined ? [] : first.rows)
  }

  lost(cause: Error | undefined): void {
    this.done(
      this.connection.broken(cause, {
        outcome: this.wasOpen && !this.text.commits ? "RolledBack" : "Unknown",
        statement: this.request.text,
        commit: this.text.commits && this.wasOpen
      }),
      undefined
    )
  }
}

const emptyResult = result(undefined, [], noColumns)
