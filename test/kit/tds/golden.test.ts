/** The bytes that MS-TDS prints in its section 4, and those that follow from its grammar where it prints none. */
import * as net from "node:net"
import { describe, expect, it } from "vitest"
import { encodeValue, readParameter, writeTypeInfo } from "./codec.js"
import { encryption, obfuscatePassword, parseLogin7, parsePrelogin } from "./login.js"
import { parseRpc, parseSqlBatch } from "./requests.js"
import { startTdsServer } from "./server.js"
import * as Tokens from "./tokens.js"
import * as Types from "./types.js"
import { frame, MessageReader, packetStatus, packetType, ProtocolError, Reader, Writer } from "./wire.js"

const bytes = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ""), "hex")

/** The one message in these packets. */
const message = (text: string) => {
  const messages = new MessageReader().feed(bytes(text))
  expect(messages).toHaveLength(1)
  return messages[0]!
}

/** 4.1 */
const prelogin = `12 01 00 2F 00 00 01 00 00 00 1A 00 06 01 00 20 00 01 02 00 21 00 01 03 00 22 00 04 04 00 26 00
  01 FF 09 00 00 00 00 00 01 00 B8 0D 00 00 01`

/** 4.2 */
const login = `10 01 00 90 00 00 01 00 88 00 00 00 02 00 09 72 00 10 00 00 00 00 00 07 00 01 00 00 00 00 00 00
  E0 03 00 00 00 00 00 00 09 04 00 00 5E 00 08 00 6E 00 02 00 72 00 00 00 72 00 07 00 80 00 00 00
  80 00 00 00 80 00 04 00 88 00 00 00 88 00 00 00 00 50 8B E2 B7 8F 88 00 00 00 88 00 00 00 88 00
  00 00 00 00 00 00 73 00 6B 00 6F 00 73 00 74 00 6F 00 76 00 31 00 73 00 61 00 4F 00 53 00 51 00
  4C 00 2D 00 33 00 32 00 4F 00 44 00 42 00 43 00`

/** 4.4 */
const loginResponse = `04 01 01 61 00 00 01 00 E3 1B 00 01 06 6D 00 61 00 73 00 74 00 65 00 72 00 06 6D 00 61 00 73 00
  74 00 65 00 72 00 AB 58 00 45 16 00 00 02 00 25 00 43 00 68 00 61 00 6E 00 67 00 65 00 64 00 20
  00 64 00 61 00 74 00 61 00 62 00 61 00 73 00 65 00 20 00 63 00 6F 00 6E 00 74 00 65 00 78 00 74
  00 20 00 74 00 6F 00 20 00 27 00 6D 00 61 00 73 00 74 00 65 00 72 00 27 00 2E 00 00 00 00 00 00
  00 E3 08 00 07 05 09 04 D0 00 34 00 E3 17 00 02 0A 75 00 73 00 5F 00 65 00 6E 00 67 00 6C 00 69
  00 73 00 68 00 00 E3 13 00 04 04 34 00 30 00 39 00 36 00 04 34 00 30 00 39 00 36 00 AB 5C 00 47
  16 00 00 01 00 27 00 43 00 68 00 61 00 6E 00 67 00 65 00 64 00 20 00 6C 00 61 00 6E 00 67 00 75
  00 61 00 67 00 65 00 20 00 73 00 65 00 74 00 74 00 69 00 6E 00 67 00 20 00 74 00 6F 00 20 00 75
  00 73 00 5F 00 65 00 6E 00 67 00 6C 00 69 00 73 00 68 00 2E 00 00 00 00 00 00 00 AD 36 00 01 72
  09 00 02 16 4D 00 69 00 63 00 72 00 6F 00 73 00 6F 00 66 00 74 00 20 00 53 00 51 00 4C 00 20 00
  53 00 65 00 72 00 76 00 65 00 72 00 00 00 00 00 00 00 00 00 FD 00 00 00 00 00 00 00 00 00 00 00
  00`

/** 4.6 */
const batch = `01 01 00 5C 00 00 01 00 16 00 00 00 12 00 00 00 02 00 00 00 00 00 00 00 00 01 00 00 00 00 0A 00
  73 00 65 00 6C 00 65 00 63 00 74 00 20 00 27 00 66 00 6F 00 6F 00 27 00 20 00 61 00 73 00 20 00
  27 00 62 00 61 00 72 00 27 00 0A 00 20 00 20 00 20 00 20 00 20 00 20 00 20 00 20 00`

/** 4.8 */
const rpc = `03 01 00 2F 00 00 01 00 16 00 00 00 12 00 00 00 02 00 00 00 00 00 00 00 00 01 00 00 00 00 04 00
  66 00 6F 00 6F 00 33 00 00 00 00 02 26 02 00`

/** 4.9 */
const rpcResponse = `04 01 00 27 00 00 01 00 FF 11 00 C1 00 01 00 00 00 00 00 00 00 79 00 00 00 00 FE 00 00 E0 00 00
  00 00 00 00 00 00 00`

/** 4.10 */
const attention = "06 01 00 08 00 00 01 00"

describe("the exchanges that MS-TDS prints", () => {
  it("4.1 PRELOGIN", () => {
    const { data, status, type } = message(prelogin)
    expect([type, status]).toEqual([packetType.prelogin, packetStatus.endOfMessage])
    expect(parsePrelogin(data)).toEqual({ version: [9, 0, 0], encryption: encryption.on, instance: "" })
  })

  it("4.2 LOGIN7", () => {
    expect(parseLogin7(message(login).data)).toMatchObject({
      tdsVersion: 0x72090002,
      packetSize: 4096,
      clientPid: 256,
      hostname: "skostov1",
      username: "sa",
      password: "",
      application: "OSQL-32",
      server: "",
      library: "ODBC",
      language: "",
      database: "",
      readOnlyIntent: false
    })
  })

  it("4.4 the answer to LOGIN7", () => {
    const { environment } = Tokens
    const info = { server: "", line: 0, severity: 0 }
    const tokens = Buffer.concat([
      Tokens.envChangeText(environment.database, "master", "master"),
      Tokens.info({ ...info, number: 5701, state: 2, message: "Changed database context to 'master'." }),
      Tokens.envChangeBytes(environment.collation, bytes("09 04 D0 00 34"), Buffer.alloc(0)),
      Tokens.envChangeText(environment.language, "us_english", ""),
      Tokens.envChangeText(environment.packetSize, "4096", "4096"),
      Tokens.info({ ...info, number: 5703, state: 1, message: "Changed language setting to us_english." }),
      Tokens.loginAck(0x72090002, "Microsoft SQL Server\0\0", [0, 0, 0]),
      Tokens.done("DONE", 0, 0, 0n)
    ])
    expect(frame(packetType.tabularResult, packetStatus.endOfMessage, 0, 1, tokens)).toEqual(bytes(loginResponse))
  })

  it("4.6 SQLBatch", () => {
    expect(parseSqlBatch(message(batch).data)).toEqual({
      descriptor: 0x0100000000000000n,
      text: "\nselect 'foo' as 'bar'\n        "
    })
  })

  it("4.8 and 4.9 RPC", () => {
    expect(parseRpc(message(rpc).data)).toEqual({
      descriptor: 0x0100000000000000n,
      procedure: "foo3",
      parameters: [{ name: "", output: false, useDefault: true, type: Types.smallint, value: null }]
    })
    const tokens = Buffer.concat([
      Tokens.done("DONEINPROC", Tokens.doneStatus.more | Tokens.doneStatus.count, Tokens.command.select, 1n),
      Tokens.returnStatus(0),
      Tokens.done("DONEPROC", 0, Tokens.command.exec, 0n)
    ])
    expect(frame(packetType.tabularResult, packetStatus.endOfMessage, 0, 1, tokens)).toEqual(bytes(rpcResponse))
  })

  it("4.10 attention", () => {
    expect(message(attention)).toEqual({ type: packetType.attention, status: 1, data: Buffer.alloc(0) })
  })

  it("4.7 what a batch is answered with, in the server's own types", () => {
    // The specification's server has another collation, so the five bytes of it are ours.
    const columns = [{ name: "bar", type: Types.varchar(3), nullable: false, identity: false }]
    const expected = `81 01 00 00 00 00 00 08 00 A7 03 00 09 04 00 02 00 03 62 00 61 00 72 00
      D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00 00 00 00 00`
    const { columnMetadata, command, done, doneStatus, row } = Tokens
    expect(Buffer.concat([
      columnMetadata(columns),
      row(columns, ["foo"]),
      done("DONE", doneStatus.count, command.select, 1n)
    ])).toEqual(bytes(expected))
  })
})

describe("the exchanges over a socket", () => {
  /** Sends bytes, and resolves with the messages that come back until there are as many as wanted. */
  const exchange = async (port: number, parts: ReadonlyArray<Buffer>, wanted: number) => {
    const socket = net.connect(port, "127.0.0.1")
    const reader = new MessageReader()
    const messages: Array<{ readonly type: number; readonly data: Buffer }> = []
    try {
      return await new Promise<typeof messages>((resolve, reject) => {
        socket.on("data", (chunk: Buffer) => {
          messages.push(...reader.feed(chunk))
          if (messages.length >= wanted) resolve(messages)
          else socket.write(parts[messages.length]!)
        })
        socket.on("error", reject)
        socket.on("close", () => resolve(messages))
        socket.write(parts[0]!)
      })
    } finally {
      socket.destroy()
    }
  }

  it("log in and run the specification's batch", async () => {
    const server = await startTdsServer({ users: { sa: "" } })
    try {
      // The descriptor that the specification's batch carries is that of no transaction of ours.
      const ours = bytes(batch.replace("00 00 00 00 00 00 00 01", "00 00 00 00 00 00 00 00"))
      const [first, second, third, fourth] = await exchange(
        server.port,
        [bytes(prelogin), bytes(login), ours, bytes(batch)],
        4
      )
      expect(parsePrelogin(first!.data).encryption).toBe(encryption.notSupported)
      // LOGINACK: the version in reading order.
      expect(second!.data.includes(bytes("AD 32 00 01 72 09 00 02 14"))).toBe(true)
      expect(third!.data).toEqual(bytes(
        `81 01 00 00 00 00 00 08 00 A7 03 00 09 04 00 02 00 03 62 00 61 00 72 00
         D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00 00 00 00 00`
      ))
      // 3989: a descriptor that is not the session's.
      expect(fourth!.data.subarray(0, 1)).toEqual(bytes("AA"))
      expect(fourth!.data.readInt32LE(3)).toBe(3989)
    } finally {
      await server.close()
    }
  })

  it("acknowledge an attention that finds nothing to stop by one DONE", async () => {
    const server = await startTdsServer({ users: { sa: "" } })
    try {
      const messages = await exchange(server.port, [bytes(prelogin), bytes(login), bytes(attention)], 3)
      expect(messages[2]!.data).toEqual(bytes("FD 20 00 00 00 00 00 00 00 00 00 00 00"))
    } finally {
      await server.close()
    }
  })

  it("drop a client that breaks the protocol", async () => {
    const server = await startTdsServer()
    try {
      expect(await exchange(server.port, [bytes("03 01 00 08 00 00 01 00")], 1)).toEqual([])
      expect(await exchange(server.port, [bytes("12 01 00 04 00 00 01 00")], 1)).toEqual([])
    } finally {
      await server.close()
    }
  })
})

describe("packets", () => {
  it("are put together in whatever pieces they come", () => {
    const all = Buffer.concat([
      frame(3, 0, 0, 1, Buffer.from("abc")),
      frame(3, packetStatus.endOfMessage | packetStatus.resetConnection, 0, 2, Buffer.from("def")),
      bytes(attention)
    ])
    for (const size of [1, 2, 3, 7, 8, 9, 1000]) {
      const reader = new MessageReader()
      const messages = []
      for (let at = 0; at < all.length; at += size) messages.push(...reader.feed(all.subarray(at, at + size)))
      expect(messages).toEqual([
        { type: 3, status: 9, data: Buffer.from("abcdef") },
        { type: 6, status: 1, data: Buffer.alloc(0) }
      ])
    }
  })

  it("of another type inside a message are refused", () => {
    const reader = new MessageReader()
    reader.feed(frame(3, 0, 0, 1, Buffer.from("abc")))
    expect(() => reader.feed(frame(1, 1, 0, 2, Buffer.from("abc")))).toThrow(ProtocolError)
  })
})

describe("values", () => {
  const cases: ReadonlyArray<readonly [Types.SqlType, Types.Value, string]> = [
    [Types.int, -2n, "04 FE FF FF FF"],
    [Types.bigint, 9223372036854775807n, "08 FF FF FF FF FF FF FF 7F"],
    [Types.tinyint, 255n, "01 FF"],
    [Types.bit, 1n, "01 01"],
    [Types.float, 1.5, "08 00 00 00 00 00 00 F8 3F"],
    [Types.real, 1.5, "04 00 00 C0 3F"],
    // The high half first.
    [Types.money, "1.0000", "08 00 00 00 00 10 27 00 00"],
    [Types.money, "-0.0001", "08 FF FF FF FF FF FF FF FF"],
    [Types.decimal(9, 2), "-123.45", "05 00 39 30 00 00"],
    [Types.decimal(38, 0), "1", "11 01 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"],
    // The first three groups little-endian, the rest in order.
    [
      Types.uniqueidentifier,
      "00112233-4455-6677-8899-AABBCCDDEEFF",
      "10 33 22 11 00 55 44 77 66 88 99 AA BB CC DD EE FF"
    ],
    [Types.date, "0001-01-02", "03 01 00 00"],
    [Types.date, "9999-12-31", "03 DA B9 37"],
    [Types.time(0), "00:00:10.0000000", "03 0A 00 00"],
    [Types.time(7), "00:00:00.0000001", "05 01 00 00 00 00"],
    [Types.datetime2(7), "0001-01-01T00:00:00.0000001", "08 01 00 00 00 00 00 00 00"],
    [Types.datetimeoffset(0), "2000-01-01T00:00:01.0000000-01:00", "08 01 00 00 07 24 0B C4 FF"],
    [Types.datetime, "1900-01-02T00:00:00.0100000", "08 01 00 00 00 03 00 00 00"],
    [Types.nvarchar(10), "é", "02 00 E9 00"],
    [Types.varchar(10), "é€", "02 00 E9 80"],
    [Types.varbinary(10), Buffer.from([1, 2]), "02 00 01 02"],
    [Types.nvarchar(-1), "a", "02 00 00 00 00 00 00 00 02 00 00 00 61 00 00 00 00 00"],
    [Types.varbinary(-1), Buffer.alloc(0), "00 00 00 00 00 00 00 00 00 00 00 00"]
  ]

  it("have the bytes of the specification", () => {
    for (const [type, value, expected] of cases) {
      expect(encodeValue(new Writer(), type, value, true).done().toString("hex"), Types.typeText(type)).toBe(
        bytes(expected).toString("hex")
      )
    }
  })

  it("that are NULL: 0 bytes, all ones in two bytes, all ones in eight", () => {
    const encode = (type: Types.SqlType) => encodeValue(new Writer(), type, null, true).done()
    expect(encode(Types.int)).toEqual(bytes("00"))
    expect(encode(Types.nvarchar(1))).toEqual(bytes("FF FF"))
    expect(encode(Types.nvarchar(-1))).toEqual(bytes("FF FF FF FF FF FF FF FF"))
  })

  it("are read back as they were written, where clients send them", () => {
    for (const [type, value] of cases.filter(([{ kind }]) => kind !== "money" && kind !== "datetime")) {
      const writer = new Writer()
      writeTypeInfo(writer, type, true)
      encodeValue(writer, type, value, true)
      const read = readParameter(new Reader(writer.done()))
      expect(read.value, Types.typeText(type)).toEqual(value)
    }
  })

  it("of a row with several nulls come without them, behind a bitmap", () => {
    const columns = ["a", "b", "c"].map((name) => ({ name, type: Types.int, nullable: true, identity: false }))
    expect(Tokens.row(columns, [null, 5n, null])).toEqual(bytes("D2 05 04 05 00 00 00"))
    expect(Tokens.row(columns, [null, 5n, 6n])).toEqual(bytes("D1 00 04 05 00 00 00 04 06 00 00 00"))
  })

  it("of passwords are hidden as the specification hides them", () => {
    // 2.2.6.4: exchange the halves of each byte, then XOR with A5.
    expect(obfuscatePassword("a")).toEqual(bytes("B3 A5"))
  })
})
