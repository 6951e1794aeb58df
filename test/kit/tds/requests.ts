/**
 * What a client asks for after login: ALL_HEADERS (MS-TDS 2.2.5.3), SQLBatch (2.2.6.7) and RPC (2.2.6.6).
 */
import { readParameter } from "./codec.js"
import type { SqlType, Value } from "./types.js"
import { ProtocolError, Reader } from "./wire.js"

/** The transaction descriptor of a request: 0 outside a transaction. */
const readAllHeaders = (reader: Reader): bigint => {
  const start = reader.offset
  const end = start + reader.u32()
  let descriptor: bigint | undefined
  while (reader.offset < end) {
    const headerEnd = reader.offset + reader.u32()
    if (reader.u16() === 2) {
      descriptor = reader.u64()
      reader.u32() // outstanding requests
    }
    if (reader.offset > headerEnd || headerEnd > end) throw new ProtocolError("ALL_HEADERS: lengths do not agree")
    reader.offset = headerEnd
  }
  if (descriptor === undefined) throw new ProtocolError("ALL_HEADERS without a transaction descriptor")
  return descriptor
}

export const parseSqlBatch = (data: Buffer): { readonly descriptor: bigint; readonly text: string } => {
  const reader = new Reader(data)
  const descriptor = readAllHeaders(reader)
  if (reader.remaining % 2 !== 0) throw new ProtocolError("SQLBatch text has half a character")
  return { descriptor, text: reader.ucs2(reader.remaining / 2) }
}

export interface Parameter {
  /** Without `@`; empty where it is given by position. */
  readonly name: string
  readonly output: boolean
  /** The procedure's default is asked for. */
  readonly useDefault: boolean
  readonly type: SqlType
  readonly value: Value
}

export interface Rpc {
  readonly descriptor: bigint
  /** In lower case. */
  readonly procedure: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** Procedures that are called by number. */
const procedures = new Map([
  [10, "sp_executesql"],
  [12, "sp_execute"],
  [13, "sp_prepexec"],
  [15, "sp_unprepare"]
])

export const parseRpc = (data: Buffer): Rpc => {
  const reader = new Reader(data)
  const descriptor = readAllHeaders(reader)
  const nameLength = reader.u16()
  const procedure = nameLength === 0xffff ? procedures.get(reader.u16()) : reader.ucs2(nameLength).toLowerCase()
  if (procedure === undefined) throw new ProtocolError("a procedure's number that is not known")
  reader.u16() // option flags
  const parameters: Array<Parameter> = []
  while (reader.remaining > 0) {
    // BatchFlag: a second call in the same message.
    if ([0x80, 0xff].includes(reader.buffer[reader.offset]!)) throw new ProtocolError("several calls in one message")
    const name = reader.bVarchar().replace(/^@/, "")
    const status = reader.u8()
    parameters.push({
      name,
      output: (status & 0x01) !== 0,
      useDefault: (status & 0x02) !== 0,
      ...readParameter(reader)
    })
  }
  return { descriptor, procedure, parameters }
}

/** By their numbers on the wire, from 1. */
export const isolationLevels = [
  "",
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
  "snapshot"
] as const

export type IsolationLevel = Exclude<(typeof isolationLevels)[number], "">
