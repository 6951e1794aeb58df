/**
 * What arrives on a link, cut into the messages of the protocol: the frequent ones are read here, without an object of
 * each, the others by `pg`.
 */
import { Socket, type SocketConstructorOpts } from "node:net"
import type { Message } from "./link.js"
import { Malformed } from "./malformed.js"

// What `toString` calls for this encoding, and what it costs beside the call: a third of a short text. Node does not document it.
interface WithSlice {
  utf8Slice?(from: number, to: number): string
}

const hasSlice = "utf8Slice" in Buffer.prototype

/** Reads UTF-8 between these places, which have to be within `bytes`. */
const slice: (bytes: Buffer, from: number, to: number) => string = hasSlice
  // Every buffer has it then.
  ? (bytes, from, to) => (bytes as WithSlice).utf8Slice!(from, to)
  : (bytes, from, to) => bytes.toString("utf8", from, to)

/** Reads UTF-8. A text of a few ASCII characters is cheaper here than by a call into Node. */
export const textOf = (bytes: Buffer, from: number, to: number): string => {
  switch (to - from) {
    case 0:
      return ""
    case 1: {
      const a = bytes[from]!
      return a < 128 ? String.fromCharCode(a) : slice(bytes, from, to)
    }
    case 2: {
      const a = bytes[from]!
      const b = bytes[from + 1]!
      return (a | b) < 128 ? String.fromCharCode(a, b) : slice(bytes, from, to)
    }
    case 3: {
      const a = bytes[from]!
      const b = bytes[from + 1]!
      const c = bytes[from + 2]!
      return (a | b | c) < 128 ? String.fromCharCode(a, b, c) : slice(bytes, from, to)
    }
    case 4: {
      const a = bytes[from]!
      const b = bytes[from + 1]!
      const c = bytes[from + 2]!
      const d = bytes[from + 3]!
      return (a | b | c | d) < 128 ? String.fromCharCode(a, b, c, d) : slice(bytes, from, to)
    }
    default:
      return slice(bytes, from, to)
  }
}

const int32 = (bytes: Buffer, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

const nothing = Buffer.alloc(0)

/** As many columns as most rows have: more are made room for. */
const fewColumns = 32

/** The values of a row as texts. */
export type Values = ReadonlyArray<string | null>

/**
 * The values of one row. A connection has one of these, filled anew for every row: what is to be read after the call that
 * is given it has to be {@link kept}.
 */
export class DataRow {
  bytes: Buffer = nothing
  /** How many columns it has. */
  count = 0
  /** Where the value of a column begins. */
  from = new Int32Array(fewColumns)
  /** Where the value of a column ends; -1: it is NULL. */
  to = new Int32Array(fewColumns)
  private start = 0
  private end = 0

  /** Of the message, in bytes, as the protocol counts: with the length itself, without the type. */
  get length(): number {
    return this.end - this.start + 4
  }

  /** Finds the columns between these places of `bytes`, which have to be a row to the last byte. */
  take(bytes: Buffer, start: number, end: number): void {
    if (end - start < 2) throw new Malformed("a row without a number of columns")
    const count = (bytes[start]! << 8) | bytes[start + 1]!
    if (count > this.from.length) {
      this.from = new Int32Array(count)
      this.to = new Int32Array(count)
    }
    const { from, to } = this
    let at = start + 2
    for (let column = 0; column < count; column++) {
      if (end - at < 4) throw new Malformed("a row with fewer columns than it says")
      const length = int32(bytes, at)
      at += 4
      if (length === -1) {
        to[column] = -1
        continue
      }
      if (length < 0 || length > end - at) throw new Malformed("a row with a column beyond its end")
      from[column] = at
      at += length
      to[column] = at
    }
    if (at !== end) throw new Malformed("a row with more bytes than its columns have")
    this.bytes = bytes
    this.count = count
    this.start = start
    this.end = end
  }

  /** Lets go of what was read of the socket. */
  release(): void {
    this.bytes = nothing
    this.count = 0
  }

  /** Its values as texts. */
  texts(): Values {
    const { bytes, count, from, to } = this
    const texts = new Array<string | null>(count)
    for (let column = 0; column < count; column++) {
      texts[column] = to[column]! < 0 ? null : textOf(bytes, from[column]!, to[column]!)
    }
    return texts
  }

  /** A copy of its bytes, to be taken later. */
  kept(): Buffer {
    return Buffer.from(this.bytes.subarray(this.start, this.end))
  }
}

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

  /** @param pg reads a whole message as `pg` does */
  constructor(private readonly pg: (message: Buffer) => void) {}

  /** Takes what was read of the socket, up to `end`. The bytes may be others after the call. */
  read(chunk: Buffer, end: number): void {
    try {
      let at = this.begunLength === 0 ? 0 : this.complete(chunk, end)
      while (end - at >= headerLength) {
        const next = at + 1 + lengthOf(chunk, at)
        if (next > end) break
        this.message(chunk, at, next)
        at = next
      }
      if (at < end) this.begin(chunk, at, end)
    } finally {
      this.row.release()
    }
  }

  /** Keeps the beginning of a message. */
  private begin(chunk: Buffer, at: number, end: number): void {
    this.begun = Buffer.from(chunk.subarray(at, end))
    this.begunLength = this.begun.length
  }

  /** Goes on with the message that was begun. Gives where the next one begins. */
  private complete(chunk: Buffer, end: number): number {
    let at = 0
    if (this.begunLength < headerLength) {
      at = this.append(chunk, 0, end, headerLength)
      if (this.begunLength < headerLength) return at
    }
    const whole = 1 + lengthOf(this.begun, 0)
    at = this.append(chunk, at, end, whole)
    if (this.begunLength < whole) return at
    const { begun } = this
    this.begun = nothing
    this.begunLength = 0
    this.message(begun, 0, whole)
    return at
  }

  /** Adds what is there of it, up to so many bytes in all. Gives where the rest begins. */
  private append(chunk: Buffer, at: number, end: number, whole: number): number {
    const length = Math.min(whole - this.begunLength, end - at)
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
    if (receiver === undefined) return this.rest(bytes, at, end)
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
        this.rest(bytes, at, end)
    }
  }

  /** A copy, since `pg` keeps parts of it, such as the salt of a password. */
  private rest(bytes: Buffer, at: number, end: number): void {
    this.pg(Buffer.from(bytes.subarray(at, end)))
  }

  /** What a socket calls. What cannot be read would be thrown into the event loop. */
  listener(failed: (error: unknown) => void): Take {
    return (bytes, length = bytes.length) => {
      try {
        this.read(bytes, length)
      } catch (error) {
        failed(error)
      }
    }
  }
}

/** What is read at once. Node reads 64 KiB: a million rows come no sooner so, and it is there for each connection. */
const readBytes = 16 * 1024

/** Takes what was read: all, or so many bytes from the beginning of a buffer that is written anew after the call. */
type Take = (bytes: Buffer, length?: number) => void

interface OnRead {
  readonly buffer: Uint8Array
  /** Answers whether to read on. */
  readonly callback: (length: number) => boolean
}

/**
 * A socket that reads into one buffer of its own, and emits no `data`. A stream makes a buffer for each read, which costs a
 * small statement a sixth of its time. Node has no such way for TLS on a socket that is open.
 */
export class Inlet {
  take: Take = () => {}
  readonly socket: Socket

  constructor() {
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    // Node's types have `onread` only where a socket is made and connected at once.
    const options: SocketConstructorOpts & { readonly onread: OnRead } = {
      onread: {
        buffer,
        callback: (length) => {
          this.take(buffer, length)
          return true
        }
      }
    }
    this.socket = new Socket(options)
  }
}
