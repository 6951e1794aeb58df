/**
 * What passes between the program and a process that runs statements: frames of a length and a value. A small value that JSON
 * keeps as it is goes as JSON, which is written and read in a fraction of the time; any other as `v8.serialize` writes it, which
 * keeps bigints, buffers, infinities and -0.
 */
import * as V8 from "node:v8"
import type { Mode, ResetPolicy } from "../Driver.js"
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

const headerBytes = 4

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

/** What JSON begins with here: every value that passes is an array. `v8.serialize` begins with 0xFF. */
const bracket = 0x5b

/** A value with its length ahead of it. */
export const frame = (value: Message | Answer): Buffer => {
  if (roomInJson(value, mostInJson) >= 0) {
    const text = JSON.stringify(value)
    const length = Buffer.byteLength(text)
    const bytes = Buffer.allocUnsafe(headerBytes + length)
    bytes.writeUInt32LE(length, 0)
    bytes.write(text, headerBytes)
    return bytes
  }
  const serializer = new V8.DefaultSerializer()
  // Room for the length, which is known at the end; the deserializer is given the rest.
  serializer.writeRawBytes(Buffer.alloc(headerBytes))
  serializer.writeHeader()
  serializer.writeValue(value)
  const bytes = serializer.releaseBuffer()
  bytes.writeUInt32LE(bytes.length - headerBytes, 0)
  return bytes
}

/** Takes chunks apart into values. */
export class Frames {
  private chunks: Array<Buffer> = []
  private size = 0

  push(chunk: Buffer): void {
    this.chunks.push(chunk)
    this.size += chunk.length
  }

  /** The next complete value, or `undefined`. */
  next(): unknown {
    const length = this.length()
    if (length === undefined || this.size < headerBytes + length) {
      return undefined
    }
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
    const end = headerBytes + length
    this.size = bytes.length - end
    this.chunks = this.size === 0 ? [] : [bytes.subarray(end)]
    return bytes[headerBytes] === bracket
      ? JSON.parse(bytes.toString("utf8", headerBytes, end))
      : V8.deserialize(bytes.subarray(headerBytes, end))
  }

  private length(): number | undefined {
    if (this.size < headerBytes) {
      return undefined
    }
    if (this.chunks[0]!.length < headerBytes) {
      this.chunks = [Buffer.concat(this.chunks)]
    }
    return this.chunks[0]!.readUInt32LE(0)
  }
}
