/**
 * What passes between the program and a process that runs statements. A small value that JSON keeps as it is goes as a line of
 * JSON, which is written and read in a fraction of the time; any other as `v8.serialize` writes it, which keeps bigints, buffers,
 * infinities and -0, with its length ahead.
 */
import * as V8 from "node:v8"
import type { Mode, ResetPolicy } from "../../../driver/Driver.js"
import { codeOf, Fault, type Fields, type Place } from "./codes.js"
import type { Spec } from "./open.js"

/** A statement, by position: names would be written with every one. In JSON nothing is `undefined`. */
export type Sent = readonly [
  text: string,
  params: ReadonlyArray<unknown>,
  mode: Mode,
  prepare: boolean,
  begin: string | null,
  lockTimeout: number | null,
  safeIntegers: boolean
]

/** A statement of a list; one that differs from the one before it in its parameters alone is sent as those. */
export type Listed = Sent | readonly [params: ReadonlyArray<unknown>]

/** What the program asks for. */
export type Message =
  | readonly ["open", spec: Spec, extensions: ReadonlyArray<string>]
  /** A new connection to the database in memory that the process holds. */
  | readonly ["reopen"]
  | readonly ["execute", request: Sent, extensions: ReadonlyArray<string>]
  | readonly ["list", list: ReadonlyArray<Listed>, extensions: ReadonlyArray<string>]
  | readonly ["cursor", request: Sent, extensions: ReadonlyArray<string>]
  /** Then, unasked, `ahead` rows are read for the next one. */
  | readonly ["fetch", cursor: number, count: number, ahead: number]
  | readonly ["free", cursor: number]
  | readonly ["ping"]
  | readonly ["reset", policy: ResetPolicy]
  | readonly ["export"]
  | readonly ["backup", destination: string]
  | readonly ["load", path: string, extensions: ReadonlyArray<string>]
  | readonly ["close"]

/** The answer, with where the connection stands after it. */
export type Answer = readonly [
  fault: PlainFault | null,
  value: unknown,
  open: boolean,
  dirty: boolean,
  lost: boolean
]

/** A fault as plain data. */
export interface PlainFault {
  readonly place: Place
  readonly fields: Fields
}

interface PlainError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly code: string | undefined
}

/** Structured clones of errors lose their code and their name. */
export const toPlain = ({ fields, place }: Fault): PlainFault => {
  const { cause } = fields
  if (!(cause instanceof Error)) {
    return { place, fields: { ...fields, cause: undefined } }
  }
  const plain: PlainError = { name: cause.name, message: cause.message, stack: cause.stack, code: codeOf(cause) }
  return { place, fields: { ...fields, cause: plain } }
}

export const fromPlain = ({ fields, place }: PlainFault): Fault => {
  if (fields.cause === undefined) {
    return new Fault(place, fields)
  }
  // `toPlain` is the only one to write it.
  const plain = fields.cause as PlainError
  const cause = new Error(plain.message)
  cause.name = plain.name
  if (plain.stack !== undefined) {
    cause.stack = plain.stack
  }
  return new Fault(place, {
    ...fields,
    cause: plain.code === undefined ? cause : Object.assign(cause, { code: plain.code })
  })
}

/** Above so many values `v8.serialize`, which has the longer run-up, is as fast. */
const mostInJson = 500

/** A longer text is written faster by `v8.serialize`, and what JSON makes of many such could pass the length of a string. */
const longestInJson = 16_384

/** How many more values may go as JSON when this one does; negative when it must not. */
const roomInJson = (value: unknown, room: number): number => {
  switch (typeof value) {
    case "string":
      return value.length <= longestInJson ? room - 1 : -1
    case "boolean":
      return room - 1
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? room - 1 : -1
    case "object":
      break
    default:
      return -1
  }
  if (value === null) {
    return room - 1
  }
  const isArray = Array.isArray(value)
  if (!isArray && Object.getPrototypeOf(value) !== Object.prototype) {
    return -1
  }
  const inner: ReadonlyArray<unknown> = isArray ? value : Object.values(value)
  for (let i = 0; i < inner.length && room >= 0; i++) {
    room = roomInJson(inner[i], room)
  }
  return room
}

/** What JSON begins with here: every value that passes is an array. */
const bracket = 0x5b

/** What JSON ends with: it has no other one, because in its strings it is written as two characters. */
const newline = 0x0a

/** What other values begin with: four of these, and the length of what `v8.serialize` makes of them. */
const block = 0x00
const lengthAt = 4
const headerBytes = 8

/** A value as it goes over the channel: a text, which Node writes without making a buffer of it, or bytes. */
export const encodeFrame = (value: Message | Answer): string | Buffer => {
  if (roomInJson(value, mostInJson) >= 0) {
    return `${JSON.stringify(value)}\n`
  }
  const serializer = new V8.DefaultSerializer()
  // Room for the length, which is known at the end; the deserializer is given the rest.
  serializer.writeRawBytes(Buffer.alloc(headerBytes, block))
  serializer.writeHeader()
  serializer.writeValue(value)
  const bytes = serializer.releaseBuffer()
  bytes.writeUInt32LE(bytes.length - headerBytes, lengthAt)
  return bytes
}

/** Takes chunks apart into values. */
export class FrameDecoder {
  private chunks: Array<Buffer> = []
  private size = 0
  /** How many of the chunks are known to hold no end of a line. */
  private searched = 0

  push(chunk: Buffer): void {
    if (chunk.length > 0) {
      this.chunks.push(chunk)
      this.size += chunk.length
    }
  }

  /** The next complete value, or `undefined`. */
  next(): unknown {
    const first = this.chunks[0]
    return first === undefined ? undefined : first[0] === bracket ? this.line() : this.block()
  }

  private line(): unknown {
    let before = 0
    for (let i = 0; i < this.chunks.length; i++) {
      const chunk = this.chunks[i]!
      const at = i < this.searched ? -1 : chunk.indexOf(newline)
      if (at >= 0) {
        const end = before + at
        return JSON.parse(this.take(end + 1).toString("utf8", 0, end))
      }
      before += chunk.length
    }
    this.searched = this.chunks.length
    return undefined
  }

  private block(): unknown {
    if (this.size < headerBytes) {
      return undefined
    }
    if (this.chunks[0]!.length < headerBytes) {
      this.chunks = [Buffer.concat(this.chunks)]
    }
    const end = headerBytes + this.chunks[0]!.readUInt32LE(lengthAt)
    return this.size < end ? undefined : V8.deserialize(this.take(end).subarray(headerBytes, end))
  }

  /** Takes so many bytes away, and answers with all that there were. */
  private take(length: number): Buffer {
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
    this.size = bytes.length - length
    this.searched = 0
    this.chunks.length = 0
    if (this.size > 0) {
      this.chunks.push(bytes.subarray(length))
    }
    return bytes
  }
}
