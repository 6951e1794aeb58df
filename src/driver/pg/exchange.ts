/**
 * One exchange with the server: what was sent in one write, and what is made of the answers until the server is ready
 * for the next.
 *
 * @since 0.1.0
 */
import type { DbError, Outcome } from "../../DbError.js"
import type { Done, Request } from "../Driver.js"
import { emptyRows } from "../row.js"
import type { ServerError } from "./codes.js"
import { queryError } from "./codes.js"
import type { PgConnection } from "./connection.js"
import type { Field, ReadRow, Result, Values } from "./shape.js"
import { noColumns, result, Shape } from "./shape.js"
import type { Text } from "./text.js"
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
  queryError({
    reason: "DataError",
    what: "a value of the answer could not be read",
    outcome: "Unknown",
    database: connection.failures.database,
    statement,
    cause
  })

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
  queryError({
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
  private fault: DbError | undefined
  private committed = false
  private readonly wasOpen: boolean

  constructor(
    connection: PgConnection,
    private readonly request: Pick<Request, "text" | "mode" | "safeIntegers">,
    private readonly text: Text,
    private readonly done: Done<unknown>
  ) {
    super(connection)
    this.wasOpen = connection.transaction !== "idle"
  }

  start(): void {
    writer.query(this.request.text)
    this.connection.sendStatement(this, this.text)
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.shape = new Shape(fields ?? [])
    this.read = undefined
  }

  override row(values: Values): void {
    try {
      this.read ??= this.shape.reader(this.request.mode, this.request.safeIntegers)
      this.rows.push(this.read(values))
    } catch (cause) {
      this.fault ??= readError(this.connection, cause, this.request.text)
    }
  }

  override complete(tag: string | undefined): void {
    this.committed ||= tag === "COMMIT"
    this.results.push(result(tag, this.rows, this.shape))
    this.rows = emptyRows()
    this.shape = noColumns
    this.read = undefined
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
    const results = this.results
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
