/**
 * Statements of a transaction in one round trip: with one Sync behind the last, the server runs each when the one before it
 * has succeeded, and skips the rest behind one that fails.
 */
import type { DbError } from "../../../DbError.js"
import type { Request } from "../../../driver/Driver.js"
import type { ServerError } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Exchange } from "./exchange.js"
import type { DataRow } from "./reader.js"
import type { Prepared } from "./session.js"
import type { Field } from "./shape.js"
import { Statement } from "./statement.js"
import type { Text } from "./text.js"
import { Params } from "./values.js"
import { writer } from "./writer.js"

/** Is told what failed, and the answers of those before it. */
export interface BatchDone {
  (error: DbError | undefined, answers: ReadonlyArray<unknown>): void
}

/** A statement of a batch, ready to be sent. */
interface Member {
  readonly request: Request
  readonly text: Text
  readonly params: Params
}

/** Whether nothing that is sent for a statement depends on what those before it give. */
const canBatch = ({ session }: Channel, { params, request, text }: Member): boolean =>
  request.prepare && text.plain && !text.several && !params.areMany && session.carried === undefined &&
  (!params.hasArrays || session.prepared.get(request.text)?.types !== undefined)

/**
 * Sends as many of these as can go together, within their transaction or with the BEGIN of the first. `false`: fewer than two can.
 *
 * @param read gives the parameters of one as they are sent, or why it is not
 */
export const startBatch = (
  channel: Channel,
  requests: ReadonlyArray<Request>,
  read: (request: Request, text: Text) => Params | DbError,
  done: BatchDone
): boolean => {
  const { session } = channel
  if (session.transaction !== "open" && requests[0]?.begin === undefined) return false
  const members: Array<Member> = []
  for (const request of requests) {
    const text = session.texts.of(request.text)
    const params = read(request, text)
    if (!(params instanceof Params) || !canBatch(channel, { request, text, params })) break
    members.push({ request, text, params })
  }
  if (members.length < 2) return false
  new Batch(channel, members, done).start()
  return true
}

class Batch extends Exchange {
  private readonly parts: ReadonlyArray<Statement>
  private readonly answers: Array<unknown> = []
  /** The one whose answer comes. */
  private at = 0

  constructor(channel: Channel, private readonly members: ReadonlyArray<Member>, private readonly done: BatchDone) {
    super(channel)
    this.parts = members.map(({ params, request, text }) =>
      new Statement(channel, request, text, params, (error, value) => this.told(error, value))
    )
  }

  start(): void {
    const parsed = new Map<string, Prepared>()
    this.parts.forEach((part, at) => {
      this.channel.session.statementSent(this.members[at]!.text)
      part.composePart(parsed, at > 0)
    })
    writer.sync()
    this.channel.send(this)
  }

  private get part(): Statement {
    // Behind the last one only the end comes, or the loss of the link.
    return this.parts[Math.min(this.at, this.parts.length - 1)]!
  }

  override parseComplete(): void {
    this.part.parseComplete()
  }

  override bindComplete(): void {
    this.part.bindComplete()
  }

  override typed(types: ReadonlyArray<number>): void {
    this.part.typed(types)
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.part.described(fields)
  }

  override row(row: DataRow): void {
    this.part.row(row)
  }

  override complete(tag: string | undefined): void {
    const { part } = this
    part.complete(tag)
    if (part.isCompleted) this.at++
  }

  override failed(error: ServerError): void {
    super.failed(error)
    this.part.failed(error)
  }

  /** Reads the answers in their order: that of one may have to wait for the catalog. */
  ready(): void {
    const next = this.answers.length
    if (next < this.at || (next === this.at && this.error !== undefined)) this.parts[next]!.ready()
    else this.done(undefined, this.answers)
  }

  private told(error: DbError | undefined, value: unknown): void {
    if (error !== undefined) return this.done(error, this.answers)
    this.answers.push(value)
    // One that was run again is the last that has run.
    if (this.error !== undefined && this.answers.length > this.at) this.done(undefined, this.answers)
    else this.ready()
  }

  lost(cause: Error | undefined): void {
    this.part.lost(cause)
  }
}
