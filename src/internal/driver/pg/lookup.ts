/**
 * A question to the catalog about the types of an answer that has come.
 */
import type { DbError } from "../../../DbError.js"
import type { ServerError } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Exchange } from "./exchange.js"
import type { Failing } from "./failures.js"
import type { DataRow, Values } from "./reader.js"
import { writer } from "./writer.js"

/**
 * Asks once for types that are not known. It goes by the extended protocol, so that a cursor that is open outside a transaction stays
 * open: then it ends with a Flush, as a Sync would end the cursor.
 */
export class Lookup extends Exchange {
  private readonly rows: Array<Values> = []
  private readonly wasOpen: boolean

  /** @param beside the cursor that has to stay open */
  constructor(
    channel: Channel,
    private readonly oids: ReadonlyArray<number>,
    private readonly beside: Exchange | undefined,
    private readonly statement: string,
    private readonly done: (failure: DbError | undefined) => void
  ) {
    super(channel)
    this.wasOpen = channel.session.transaction !== "idle"
  }

  start(): void {
    writer.parse("", this.channel.session.types.question(this.oids))
    writer.bind("", "", [])
    writer.execute("", 0)
    if (this.beside === undefined) writer.sync()
    else writer.flush()
    this.channel.send(this, this.beside)
  }

  override row(row: DataRow): void {
    this.rows.push(row.texts())
  }

  override complete(): void {
    if (this.beside === undefined) return
    this.channel.paused(this.beside)
    this.learned()
  }

  override failed(error: ServerError): void {
    super.failed(error)
    if (this.beside === undefined) return
    writer.sync()
    this.channel.write()
  }

  private learned(): void {
    const { types } = this.channel.session
    types.learn(this.oids, this.rows)
    try {
      // The answer is read before this returns.
      this.done(undefined)
    } finally {
      types.forgetUnseen()
    }
  }

  /** What the statement has done stays, unless its transaction is undone. */
  private get failing(): Failing {
    const outcome = this.wasOpen ? "RolledBack" : "Unknown"
    return { outcome, statement: this.statement, commit: false }
  }

  ready(): void {
    if (this.error === undefined) this.learned()
    else this.done(this.channel.refused(this.error, this.failing))
  }

  lost(cause: Error | undefined): void {
    this.done(this.channel.broken(cause, this.failing))
  }
}
