/**
 * A row as it came: where the values of its columns stand in what was read of the socket.
 */
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

/** As many columns as most rows have: more are made room for. */
const fewColumns = 32

/** The values of a row as texts. */
export type Values = ReadonlyArray<string | null>

const nothing = Buffer.alloc(0)

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
