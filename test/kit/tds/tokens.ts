/** The tokens of a server's answer (MS-TDS 2.2.7), as bytes. */
import { encodeValue, writeTypeInfo } from "./codec.js"
import type { Column } from "./sql/scope.js"
import type { SqlType, Value } from "./types.js"
import { Writer } from "./wire.js"

/** Bits of a DONE token's status. */
export const doneStatus = {
  more: 0x1,
  error: 0x2,
  inTransaction: 0x4,
  count: 0x10,
  attention: 0x20,
  serverError: 0x100
} as const

/** `CurCmd` of a DONE token. */
export const command = {
  none: 0x00,
  select: 0xc1,
  insert: 0xc3,
  delete: 0xc4,
  update: 0xc5,
  exec: 0xe0
} as const

export type DoneKind = "DONE" | "DONEPROC" | "DONEINPROC"
const doneTokens = { DONE: 0xfd, DONEPROC: 0xfe, DONEINPROC: 0xff } as const

export const done = (kind: DoneKind, status: number, currentCommand: number, count: bigint): Buffer =>
  new Writer().u8(doneTokens[kind]).u16(status).u16(currentCommand).u64(count).done()

/** Types of ENVCHANGE. */
export const environment = {
  database: 1,
  language: 2,
  packetSize: 4,
  collation: 7,
  beginTransaction: 8,
  commitTransaction: 9,
  rollbackTransaction: 10,
  resetConnection: 18
} as const

export const envChangeText = (type: number, value: string, old: string): Buffer =>
  new Writer().u8(0xe3).sized16((_) => _.u8(type).bVarchar(value).bVarchar(old)).done()

export const envChangeBytes = (type: number, value: Uint8Array, old: Uint8Array): Buffer =>
  new Writer().u8(0xe3).sized16((_) => _.u8(type).u8(value.length).bytes(value).u8(old.length).bytes(old)).done()

export interface ServerMessage {
  readonly number: number
  readonly state: number
  readonly severity: number
  readonly message: string
  readonly server: string
  readonly line: number
}

const message = (token: number, _: ServerMessage): Buffer =>
  new Writer().u8(token).sized16((writer) =>
    writer.i32(_.number).u8(_.state).u8(_.severity).usVarchar(_.message).bVarchar(_.server).bVarchar("").i32(_.line)
  ).done()

export const error = (_: ServerMessage): Buffer => message(0xaa, _)
export const info = (_: ServerMessage): Buffer => message(0xab, _)

/** LOGINACK. The version is the only number here whose bytes stand in reading order. */
export const loginAck = (tdsVersion: number, program: string, version: readonly [number, number, number]): Buffer =>
  new Writer().u8(0xad).sized16((_) =>
    _.u8(1).u32be(tdsVersion).bVarchar(program).u8(version[0]).u8(version[1]).u16be(version[2])
  ).done()

export const columnMetadata = (columns: ReadonlyArray<Column>): Buffer => {
  const writer = new Writer().u8(0x81).u16(columns.length)
  for (const column of columns) {
    writer.u32(0).u16((column.nullable ? 0x01 : 0) | 0x08 | (column.identity ? 0x10 : 0))
    writeTypeInfo(writer, column.type, column.nullable)
    writer.bVarchar(column.name)
  }
  return writer.done()
}

/** ROW, or NBCROW where there are several nulls, as SQL Server does to save bytes. */
export const row = (columns: ReadonlyArray<Column>, values: ReadonlyArray<Value>): Buffer => {
  let nulls = 0
  for (const value of values) if (value === null) nulls++
  const writer = new Writer()
  if (nulls < 2) {
    writer.u8(0xd1)
    for (let i = 0; i < columns.length; i++) {
      encodeValue(writer, columns[i]!.type, values[i] ?? null, columns[i]!.nullable)
    }
    return writer.done()
  }
  const bitmap = Buffer.alloc(Math.ceil(columns.length / 8))
  values.forEach((value, i) => {
    if (value === null) bitmap[i >> 3]! |= 1 << (i & 7)
  })
  writer.u8(0xd2).bytes(bitmap)
  for (let i = 0; i < columns.length; i++) {
    if (values[i] !== null) encodeValue(writer, columns[i]!.type, values[i]!, columns[i]!.nullable)
  }
  return writer.done()
}

export const returnStatus = (status: number): Buffer => new Writer().u8(0x79).i32(status).done()

export const returnValue = (ordinal: number, name: string, type: SqlType, value: Value): Buffer => {
  const writer = new Writer().u8(0xac).u16(ordinal).bVarchar(name).u8(0x01).u32(0).u16(0x01)
  writeTypeInfo(writer, type, true)
  encodeValue(writer, type, value, true)
  return writer.done()
}
