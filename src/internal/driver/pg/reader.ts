/**
 * What arrives on a link, cut into the messages of the protocol: the frequent ones are read here, without an object of
 * each, the others by `pg`.
 */
import { DataRow, textOf } from "./dataRow.js"
import type { Message } from "./link.js"
import { Malformed } from "./malformed.js"

/** What the messages are given to. */
export interface Receiver {
  /** By the names that `pg` gives them. */
  readonly receive: (event: string, message: Message) => unknown
  /** The row is another one after the call. */
  readonly row: (row: DataRow) => void
}

const Code = {
  ParseComplete: 49,
  BindComplete: 50,
  CloseComplete: 51,
  CommandComplete: 67,
  DataRow: 68,
  ReadyForQuery: 90
} as const

/** The type of a message and its length. */
const headerLength = 5

/** As much as a message can have: the server makes none of more than 1 GB. */
const mostBytes = 2 ** 30

/**
 * What may be longer than {@link mostOfOthers}: NotificationResponse, DataRow, ErrorResponse, NoticeResponse, ParameterStatus,
 * RowDescription, CopyData and ParameterDescription. Longer than that, the others are no messages of a server, as in `libpq`.
 */
const long = new Set(Array.from("ADENSTdt", (type) => type.charCodeAt(0)))
const mostOfOthers = 30_000

/** What `pg` reads once a link is open. It takes any other for an error that the server has answered with. */
const known = new Set(Array.from("ACDEGHIKNRSTWZcdnst123", (type) => type.charCodeAt(0)))

/** What is read in one piece at once; a message that says it is longer is made room for as it comes. */
const roomAtOnce = 1024 * 1024

const nothing = Buffer.alloc(0)
const bare: Message = { length: 4 }

/** Without an object of each. */
const readies = new Map<number, Message>(
  Array.from("ITE", (status) => [status.charCodeAt(0), { length: 5, status }])
)

/** Which message it is, in an error. */
const typeOf = (code: number): string => code > 32 && code < 127 ? `"${String.fromCharCode(code)}"` : `number ${code}`

/** The length of a message, as the protocol counts: with the length itself, without the type. */
const lengthOf = (bytes: Buffer, at: number): number => {
  const code = bytes[at]!
  const length = bytes.readUInt32BE(at + 1)
  if (length < 4 || length > (long.has(code) ? mostBytes : mostOfOthers)) {
    throw new Malformed(`a message of type ${typeOf(code)} of ${length} bytes`)
  }
  return length
}

/** Reads one link. What a message cannot be is thrown, and ends the reading. */
export class Reader {
  /** Where the messages go; `undefined`: all of them to `pg`. */
  receiver: Receiver | undefined = undefined
  private readonly row = new DataRow()
  /** The beginning of a message of which the rest has not come. */
  private begun: Buffer = nothing
  private begunLength = 0

  /** @param rest reads a whole message as `pg` does */
  constructor(private readonly rest: (message: Buffer) => void) {}

  /** Takes what was read of the socket. It must not change afterwards as long as a message of it is not whole. */
  read(chunk: Buffer): void {
    try {
      let at = this.begunLength === 0 ? 0 : this.complete(chunk)
      const end = chunk.length
      while (end - at >= headerLength) {
        const next = at + 1 + lengthOf(chunk, at)
        if (next > end) break
        this.message(chunk, at, next)
        at = next
      }
      if (at < end) this.begin(chunk, at)
    } finally {
      this.row.release()
    }
  }

  /** Keeps the beginning of a message. */
  private begin(chunk: Buffer, at: number): void {
    this.begun = chunk.subarray(at)
    this.begunLength = this.begun.length
  }

  /** Goes on with the message that was begun. Gives where the next one begins. */
  private complete(chunk: Buffer): number {
    let at = 0
    if (this.begunLength < headerLength) {
      at = this.append(chunk, 0, headerLength, headerLength)
      if (this.begunLength < headerLength) return at
    }
    const whole = 1 + lengthOf(this.begun, 0)
    at = this.append(chunk, at, whole, whole)
    if (this.begunLength < whole) return at
    const { begun } = this
    this.begun = nothing
    this.begunLength = 0
    this.message(begun, 0, whole)
    return at
  }

  /** Adds up to so many bytes in all. Gives where the rest begins. */
  private append(chunk: Buffer, at: number, wanted: number, whole: number): number {
    const length = Math.min(wanted - this.begunLength, chunk.length - at)
    const needed = this.begunLength + length
    if (needed > this.begun.length) {
      // Not more than twice of what has come, however long the message says it is.
      const room = whole <= roomAtOnce ? whole : Math.min(whole, Math.max(roomAtOnce, needed * 2))
      const grown = Buffer.allocUnsafe(room)
      this.begun.copy(grown, 0, 0, this.begunLength)
      this.begun = grown
    }
    chunk.copy(this.begun, this.begunLength, at, at + length)
    this.begunLength = needed
    return at + length
  }

  /** One whole message. */
  private message(bytes: Buffer, at: number, end: number): void {
    const { receiver } = this
    if (receiver === undefined) return this.rest(bytes.subarray(at, end))
    const body = at + headerLength
    switch (bytes[at]) {
      case Code.DataRow:
        this.row.take(bytes, body, end)
        return receiver.row(this.row)
      case Code.BindComplete:
        receiver.receive("bindComplete", bare)
        return
      case Code.CommandComplete:
        if (bytes[end - 1] !== 0 || end === body) throw new Malformed("the end of a command without an end of its text")
        receiver.receive("commandComplete", { length: end - at - 1, text: textOf(bytes, body, end - 1) })
        return
      case Code.ReadyForQuery: {
        const ready = end === body + 1 ? readies.get(bytes[body]!) : undefined
        if (ready === undefined) throw new Malformed("that it is ready, in no state of a transaction")
        receiver.receive("readyForQuery", ready)
        return
      }
      case Code.ParseComplete:
        receiver.receive("parseComplete", bare)
        return
      case Code.CloseComplete:
        receiver.receive("closeComplete", bare)
        return
      default:
        if (!known.has(bytes[at]!)) throw new Malformed(`a message of type ${typeOf(bytes[at]!)}`)
        this.rest(bytes.subarray(at, end))
    }
  }
}
