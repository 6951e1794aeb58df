/** What arrives is cut into messages and read as `pg` does it, however it is cut on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as net from "node:net"
import * as Pg from "pg"
import type { DbError } from "../../../src/DbError.js"
import type { Connection } from "../../../src/driver/Driver.js"
import { Malformed } from "../../../src/internal/driver/pg/malformed.js"
import { DataRow } from "../../../src/internal/driver/pg/reader.js"
import { Reader } from "../../../src/internal/driver/pg/reader.js"
import { describePostgres, freshDatabase } from "../../kit/postgres.js"
import { driverAt, execute, opened, request } from "./fixture.js"

type Event = readonly [name: string, message: unknown]

/** Reads bytes as `pg` does, and gives the events that it emits. */
const pgListener = (emit: (event: string, message: unknown) => void): (bytes: Buffer) => void => {
  let listener: ((bytes: Buffer) => void) | undefined
  const stream = {
    on: (event: string, given: (bytes: Buffer) => void) => {
      if (event === "data") listener = given
    }
  }
  // What its types leave out: see handshake.ts.
  const { attachListeners } = Pg.Connection.prototype as unknown as { attachListeners(stream: unknown): void }
  attachListeners.call({ emit }, stream)
  return listener!
}

/** The parts of a message that are read by the driver; the others, which `pg` reads, as they are. */
const told = (event: string, message: unknown): Event => {
  // Every message has these, or lacks them.
  const { chunk, fields, length, status, text } = message as Record<string, unknown>
  switch (event) {
    case "copyData":
      // A copy: `pg` gives a part of its buffer, which it writes anew.
      return [event, { chunk: Buffer.from(chunk as Uint8Array), length }]
    case "dataRow":
      return [event, { fields, length }]
    case "bindComplete":
    case "parseComplete":
    case "closeComplete":
      return [event, {}]
    case "commandComplete":
      return [event, { text, length }]
    case "readyForQuery":
      return [event, { status, length }]
    default:
      return [event, message]
  }
}

const byPg = (chunks: ReadonlyArray<Buffer>): ReadonlyArray<Event> => {
  const events: Array<Event> = []
  const listener = pgListener((event, message) => events.push(told(event, message)))
  for (const chunk of chunks) listener(chunk)
  return events
}

/** Gives it bytes as a socket does, in a buffer that is used again. */
const feed = (reader: Reader, chunk: Buffer): void => {
  const bytes = Buffer.concat([chunk, Buffer.from("beyond its end")])
  try {
    reader.read(bytes, chunk.length)
  } finally {
    bytes.fill(0)
  }
}

/** A reader that has been handed over, and what it has told. */
const handedOver = () => {
  const events: Array<Event> = []
  const emit = (event: string, message: unknown) => events.push(told(event, message))
  const reader = new Reader(pgListener(emit))
  const receiver = {
    receive: emit,
    row: (row: DataRow) => events.push(["dataRow", { fields: row.texts(), length: row.length }])
  }
  return { events, reader, receiver }
}

const byReader = (chunks: ReadonlyArray<Buffer>): ReadonlyArray<Event> => {
  const { events, reader, receiver } = handedOver()
  reader.receiver = receiver
  for (const chunk of chunks) feed(reader, chunk)
  return events
}

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value])
const int32 = (value: number): Buffer => Buffer.from([value >> 24, value >> 16, value >> 8, value])
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)
const message = (type: string, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type, "latin1"), int32(body.length + 4), body])
}

const column = (value: Uint8Array | null): Buffer =>
  value === null ? int32(-1) : Buffer.concat([int32(value.length), value])
const dataRow = (...values: ReadonlyArray<Uint8Array | null>): Buffer =>
  message("D", int16(values.length), ...values.map(column))

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => !value.includes("\0"))
const value = fc.oneof(
  { weight: 4, arbitrary: text.map((value) => Buffer.from(value)) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  // Longer than a chunk of a socket, at times.
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 100_000 }).map((length) => Buffer.alloc(length, "é")) }
)
const fieldsOf = (letters: string) =>
  fc.array(fc.tuple(fc.constantFrom(...letters), text), { maxLength: 8 }).map((fields) =>
    Buffer.concat([...fields.map(([letter, value]) => Buffer.from(`${letter}${value}\0`)), Buffer.from([0])])
  )

const anyMessage = fc.oneof(
  { weight: 8, arbitrary: fc.array(value, { maxLength: 12 }).map((values) => dataRow(...values)) },
  { weight: 1, arbitrary: fc.constant(dataRow(...new Array<null>(1600).fill(null))) },
  { weight: 4, arbitrary: fc.constantFrom("1", "2", "3", "n", "s", "I", "c").map((type) => message(type)) },
  { weight: 2, arbitrary: text.map((tag) => message("C", cstring(tag))) },
  { weight: 2, arbitrary: fc.constantFrom("I", "T", "E").map((status) => message("Z", Buffer.from(status))) },
  { weight: 2, arbitrary: fieldsOf("SVCMDHPpqWstcdnFLR").map((fields) => message("E", fields)) },
  { weight: 1, arbitrary: fieldsOf("SVCMDH").map((fields) => message("N", fields)) },
  { weight: 1, arbitrary: fc.tuple(text, text).map(([name, value]) => message("S", cstring(name), cstring(value))) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(), text, text).map(([pid, channel, payload]) =>
      message("A", int32(pid), cstring(channel), cstring(payload))
    )
  },
  {
    weight: 1,
    arbitrary: fc.array(fc.tuple(text, fc.nat(), fc.nat(100)), { maxLength: 20 }).map((fields) =>
      message(
        "T",
        int16(fields.length),
        ...fields.flatMap(([name, oid, at]) => [
          cstring(name),
          int32(oid),
          int16(at),
          int32(oid),
          int16(-1),
          int32(-1),
          int16(0)
        ])
      )
    )
  },
  {
    weight: 1,
    arbitrary: fc.array(fc.nat(), { maxLength: 20 }).map((oids) => message("t", int16(oids.length), ...oids.map(int32)))
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("G", "H").map((type) => message(type, Buffer.from([0]), int16(1), int16(0)))
  },
  { weight: 1, arbitrary: fc.uint8Array().map((bytes) => message("d", bytes)) }
)
const messages = fc.array(anyMessage, { maxLength: 30 })

/** Cut where these say, from 0 to 1 of the whole. */
const cut = (whole: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const at = [...new Set([0, ...places.map((place) => Math.floor(place * whole.length)), whole.length])].sort((a, b) =>
    a - b
  )
  return at.slice(1).map((end, i) => whole.subarray(at[i], end))
}
const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 })

/** Calls, and gives what was thrown. */
const thrown = (call: () => unknown): unknown => {
  try {
    call()
    return undefined
  } catch (error) {
    return error
  }
}

describe("reading the messages of PostgreSQL", () => {
  it("gives what pg gives, wherever they are cut", () => {
    fc.assert(fc.property(messages, places, (all, at) => {
      const chunks = cut(Buffer.concat(all), at)
      assert.deepStrictEqual(byReader(chunks), byPg(chunks))
    }))
  })

  it("gives what pg gives, a byte at a time", () => {
    fc.assert(
      fc.property(fc.array(anyMessage.filter((one) => one.length < 2000), { maxLength: 5 }), (all) => {
        const whole = Buffer.concat(all)
        assert.deepStrictEqual(byReader(Array.from(whole, (byte) => Buffer.from([byte]))), byPg([whole]))
      }),
      { numRuns: 50 }
    )
  })

  it("gives what pg gives, whenever it is handed over", () => {
    fc.assert(fc.property(messages, messages, places, (before, after, at) => {
      const { events, reader, receiver } = handedOver()
      const pg = pgListener((event, given) => {
        events.push(told(event, given))
        // As the client is told that the server is ready, in the middle of a chunk.
        if (event === "notice") reader.receiver = receiver
      })
      Object.assign(reader, { pg })
      const chunks = cut(Buffer.concat([...before, message("N", Buffer.from([0])), ...after]), at)
      for (const chunk of chunks) feed(reader, chunk)
      assert.deepStrictEqual(events, byPg(chunks))
    }))
  })

  it("what pg keeps of a message is the same later", () => {
    const salt = Buffer.from([1, 2, 3, 4])
    const asksForMd5 = message("R", int32(5), salt)
    for (const chunks of [[asksForMd5], Array.from(asksForMd5, (byte) => Buffer.from([byte]))]) {
      const { events, reader } = handedOver()
      for (const chunk of chunks) feed(reader, chunk)
      assert.deepInclude(events[0]?.[1], { name: "authenticationMD5Password", salt })
    }
  })

  it("leaves what it is given as it is", () => {
    fc.assert(
      fc.property(messages, places, (all, at) => {
        const whole = Buffer.concat(all)
        const before = Buffer.from(whole)
        byReader(cut(whole, at))
        assert.isTrue(whole.equals(before))
      }),
      { numRuns: 30 }
    )
  })

  const malformed: ReadonlyArray<readonly [string, Buffer]> = [
    ["a length of 0", Buffer.concat([Buffer.from("D"), int32(0)])],
    ["a length of 3", Buffer.concat([Buffer.from("D"), int32(3), Buffer.alloc(10)])],
    ["a negative length", Buffer.concat([Buffer.from("D"), int32(-1)])],
    ["more than a server sends", Buffer.concat([Buffer.from("D"), int32(2 ** 30 + 1)])],
    ["a Z that is long", Buffer.concat([Buffer.from("Z"), int32(30_001)])],
    ["no type of message", message("v", Buffer.from("a"))],
    ["another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a row without columns' number", message("D", Buffer.from([0]))],
    ["a row that is too short", message("D", int16(2), column(Buffer.from("a")))],
    ["a row with half of a length", message("D", int16(1), Buffer.from([0, 0]))],
    ["a column beyond the end", message("D", int16(1), int32(2), Buffer.from("a"))],
    ["a column of huge length", message("D", int16(1), int32(2 ** 31 - 1), Buffer.from("a"))],
    ["a column of negative length", message("D", int16(1), int32(-2), Buffer.from("a"))],
    ["a row that is too long", message("D", int16(1), column(Buffer.from("a")), Buffer.from("b"))],
    ["a command without an end", message("C", Buffer.from("SELECT 1"))],
    ["a command without a text", message("C")],
    ["ready without a state", message("Z")],
    ["ready in no state", message("Z", Buffer.from("x"))],
    ["ready in two states", message("Z", Buffer.from("IT"))]
  ]

  for (const [what, bytes] of malformed) {
    it(`${what} is refused, behind what came ahead of it`, () => {
      for (const chunks of [[bytes], Array.from(bytes, (byte) => Buffer.from([byte]))]) {
        const { events, reader, receiver } = handedOver()
        reader.receiver = receiver
        const error = thrown(() => {
          for (const chunk of [dataRow(Buffer.from("first")), ...chunks]) feed(reader, chunk)
        })
        assert.instanceOf(error, Malformed)
        assert.match(String(error), /the server sent/)
        assert.deepStrictEqual(events, [["dataRow", { fields: ["first"], length: 15 }]])
      }
    })
  }

  it("anything else is refused, or read", () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
      const error = thrown(() => byReader(chunks.map((chunk) => Buffer.from(chunk))))
      assert.isTrue(error === undefined || error instanceof Error)
    }))
  })

  it("a length of 1 GB is made room for as it comes", () => {
    const { events, reader, receiver } = handedOver()
    reader.receiver = receiver
    const before = process.memoryUsage().arrayBuffers
    feed(reader, Buffer.concat([Buffer.from("D"), int32(2 ** 30), Buffer.alloc(100)]))
    for (let i = 0; i < 50; i++) feed(reader, Buffer.alloc(65536))
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 30 * 2 ** 20)
    assert.isEmpty(events)
  })

  it("a row that is kept is the same later", () => {
    fc.assert(fc.property(fc.array(value, { maxLength: 40 }), (values) => {
      const bytes = dataRow(...values)
      const row = new DataRow()
      row.take(bytes, 5, bytes.length)
      const texts = row.texts()
      const kept = row.kept()
      bytes.fill(0)
      row.release()
      row.take(kept, 0, kept.length)
      assert.deepStrictEqual(row.texts(), texts)
    }))
  })
})

/** A way to the server into which bytes can be put, as if the server had sent them. */
const relay = (target: { readonly host: string; readonly port: number }) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly inject: (bytes: Buffer) => void; readonly close: () => void }>(
      (resume) => {
        const sockets: Array<net.Socket> = []
        const server = net.createServer((socket) => {
          const upstream = net.connect(target.port, target.host)
          sockets.push(socket, upstream)
          for (const [from, to] of [[socket, upstream], [upstream, socket]] as const) {
            from.on("error", () => {})
            from.on("close", () => to.destroy())
            from.pipe(to)
          }
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          resume(Effect.succeed({
            port: typeof address === "object" && address !== null ? address.port : 0,
            inject: (bytes) => sockets.at(-2)!.write(bytes),
            close: () => {
              server.close()
              for (const socket of sockets) socket.destroy()
            }
          }))
        })
      }
    ),
    (open) => Effect.sync(open.close)
  )

describePostgres("a server that does not keep to the protocol", () => {
  for (
    const [what, bytes] of [
      ["a message of no length", Buffer.concat([Buffer.from("D"), int32(0)])],
      ["a row that is too short", message("D", int16(1))],
      ["a message of no type", message("v", Buffer.from("secret"))]
    ] as const
  ) {
    it.scoped(`${what} ends the link with a typed error, while a statement runs and while none does`, () =>
      Effect.gen(function*() {
        const database = yield* freshDatabase
        const way = yield* relay(database)
        const url = new URL(database.url)
        url.hostname = "127.0.0.1"
        url.port = String(way.port)
        const driver = yield* driverAt(url.href, { ssl: "disable" })

        const failing = (run: (connection: Connection, done: (error: DbError | undefined) => void) => void) =>
          Effect.gen(function*() {
            const connection = yield* opened(driver)
            assert.deepStrictEqual(yield* execute(connection, "SELECT 1::int4 AS n"), [{ n: 1 }])
            const told = yield* Deferred.make<DbError | undefined>()
            run(connection, (error) => Deferred.unsafeDone(told, Effect.succeed(error)))
            way.inject(bytes)
            const error = yield* Deferred.await(told)
            assert.isTrue(connection.lost)
            assert.include(error?.message, "the server sent")
            assert.notInclude(error?.message, "secret")
            return [error?._tag, error?.reason, error?.outcome]
          })

        assert.deepStrictEqual(
          yield* failing((connection, done) => connection.execute(request("SELECT pg_sleep(20)"), done)),
          ["ConnectionError", "Lost", "Unknown"]
        )
        assert.deepStrictEqual(
          yield* failing((connection, done) => {
            connection.onLost = done
          }),
          ["ConnectionError", "Lost", "NotSent"]
        )
      }))
  }
})
