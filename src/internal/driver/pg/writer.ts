/**
 * Messages to the server, gathered into one buffer per round trip.
 */

import type { Writable } from "node:stream"

const Message = {
  Bind: 66,
  Close: 67,
  Describe: 68,
  Execute: 69,
  Flush: 72,
  Parse: 80,
  Query: 81,
  Sync: 83,
  CopyFail: 102
} as const

const Statement = 83
const Portal = 80

/** The size of a buffer: what many round trips take is cut out of one. */
const size = 65536

/** With less room than this, a buffer is left to what was taken of it. */
const leastRoom = 4096

const nothing: Buffer = Buffer.alloc(0)

/** What every connection has that sends each thing by itself; never changed. */
const noPieces: Array<Buffer> = []

/** A part of a buffer. */
interface Place {
  readonly buffer: Buffer
  readonly from: number
  readonly to: number
}

/** What a parameter is sent as: text, bytes, or null. */
export type Encoded = string | Uint8Array | null

/** Gathers messages; `take` gives them as part of one buffer. `pg`'s own serializer makes a buffer and a write of each. */
export class Writer {
  private buffer = Buffer.allocUnsafe(size)
  private at = 0
  /** What stands before this was taken, and does not change any more. */
  private taken = 0
  private start = 0

  private ensure(length: number): void {
    const needed = this.at + length
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.at)
    this.buffer = grown
  }

  private int32(at: number, value: number): void {
    const buffer = this.buffer
    buffer[at] = value >>> 24
    buffer[at + 1] = value >>> 16
    buffer[at + 2] = value >>> 8
    buffer[at + 3] = value
  }

  private open(code: number): void {
    this.ensure(16)
    this.start = this.at + 1
    this.buffer[this.at] = code
    this.at += 5
  }

  private end(): void {
    this.int32(this.start, this.at - this.start)
  }

  /** Writes text and returns its length in bytes. Short ASCII is cheaper here than through a call into Node. */
  private text(value: string): number {
    const length = value.length
    this.ensure(length * 3 + 1)
    const buffer = this.buffer
    const from = this.at
    if (length < 32) {
      let i = 0
      for (; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 127) break
        buffer[from + i] = code
      }
      if (i === length) {
        this.at = from + length
        return length
      }
    }
    const written = buffer.write(value, from)
    this.at = from + written
    return written
  }

  private cstring(value: string): void {
    this.text(value)
    this.buffer[this.at++] = 0
  }

  private byte(value: number): void {
    this.buffer[this.at++] = value
  }

  parse(name: string, text: string): void {
    this.open(Message.Parse)
    this.cstring(name)
    this.cstring(text)
    this.ensure(2)
    this.byte(0)
    this.byte(0)
    this.end()
  }

  bind(portal: string, statement: string, params: ReadonlyArray<Encoded>): void {
    this.open(Message.Bind)
    this.cstring(portal)
    this.cstring(statement)
    const count = params.length
    this.ensure(count * 2 + 4)
    this.byte(count >>> 8)
    this.byte(count)
    for (let i = 0; i < count; i++) {
      const value = params[i]!
      this.byte(0)
      this.byte(value === null || typeof value === "string" ? 0 : 1)
    }
    this.byte(count >>> 8)
    this.byte(count)
    for (let i = 0; i < count; i++) {
      const value = params[i]!
      this.ensure(4)
      const at = this.at
      this.at += 4
      if (value === null) {
        this.int32(at, -1)
      } else if (typeof value === "string") {
        const length = this.text(value)
        this.int32(at, length)
      } else {
        this.ensure(value.length)
        this.buffer.set(value, this.at)
        this.at += value.length
        this.int32(at, value.length)
      }
    }
    // All columns as text.
    this.ensure(2)
    this.byte(0)
    this.byte(0)
    this.end()
  }

  execute(portal: string, rows: number): void {
    this.open(Message.Execute)
    this.cstring(portal)
    this.ensure(4)
    this.int32(this.at, rows)
    this.at += 4
    this.end()
  }

  private named(code: number, kind: number, name: string): void {
    this.open(code)
    this.byte(kind)
    this.cstring(name)
    this.end()
  }

  describeStatement(name: string): void {
    this.named(Message.Describe, Statement, name)
  }

  describePortal(name: string): void {
    this.named(Message.Describe, Portal, name)
  }

  closeStatement(name: string): void {
    this.named(Message.Close, Statement, name)
  }

  closePortal(name: string): void {
    this.named(Message.Close, Portal, name)
  }

  query(text: string): void {
    this.open(Message.Query)
    this.cstring(text)
    this.end()
  }

  copyFail(reason: string): void {
    this.open(Message.CopyFail)
    this.cstring(reason)
    this.end()
  }

  sync(): void {
    this.open(Message.Sync)
    this.end()
  }

  flush(): void {
    this.open(Message.Flush)
    this.end()
  }

  /** Everything gathered since the last time, as the part of a buffer that it is. It does not change any more. */
  take(): Place {
    const { at: to, buffer, taken: from } = this
    // A large one is not kept, either.
    if (buffer.length - to < leastRoom || buffer.length > size) {
      this.buffer = Buffer.allocUnsafe(size)
      this.at = 0
    }
    this.taken = this.at
    return { buffer, from, to }
  }
}

/** Shared by all connections: what one gathers is taken before another's turn comes. */
export const writer = new Writer()

/** What a connection sends: as soon as it is composed, or several things in one write. */
export class Outgoing {
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: behind it stands a TLS key.
  readonly #stream: Writable
  /** What was taken for the next write; the last piece is the part of `buffer` from `from` to `to`. */
  private pieces = noPieces
  private buffer = nothing
  private from = 0
  private to = 0

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /** Takes what was composed, for the next write. */
  gather(): void {
    const { buffer, from, to } = writer.take()
    if (buffer !== this.buffer || from !== this.to) {
      if (this.from !== this.to) {
        if (this.pieces === noPieces) this.pieces = []
        this.pieces.push(this.buffer.subarray(this.from, this.to))
      }
      this.buffer = buffer
      this.from = from
    }
    this.to = to
  }

  /** Writes what was composed, behind what was gathered. */
  write(): void {
    this.gather()
    this.flush()
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.from === this.to) return
    const last = this.buffer.subarray(this.from, this.to)
    const { pieces } = this
    this.drop()
    this.#stream.write(pieces === noPieces ? last : Buffer.concat([...pieces, last]))
  }

  /** What was gathered is not sent any more. */
  drop(): void {
    this.pieces = noPieces
    this.buffer = nothing
    this.from = 0
    this.to = 0
  }
}
