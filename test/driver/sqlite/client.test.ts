import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { fromSqlError } from "../../../src/DbError.js"
import { Database } from "../../kit/sqlite.js"
import { connect, execute, file, folder, lock, openClient as open, places } from "./harness.js"

/** Comes with better-sqlite3 where it is compiled; adds the SQL function testExtensionFunction. */
const extension = (() => {
  try {
    const library = createRequire(import.meta.url).resolve("better-sqlite3")
    return Path.join(Path.dirname(library), "../build/Release/test_extension.node")
  } catch {
    return "missing"
  }
})()

describe.each(places)("SqliteClient, %s", (_, workers) => {
  it.scoped("says which file is open", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const { client } = yield* open({ filename, workers })
      strictEqual(client.config.filename, filename)
    }))

  it.scoped("export gives the bytes of a file", () =>
    Effect.gen(function*() {
      const { client, connection } = yield* open({ workers })
      yield* execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (42)")
      const bytes = yield* client.export
      const copy = new Database(Buffer.from(bytes))
      deepStrictEqual(copy.prepare("SELECT x FROM t").all(), [{ x: 42 }])
      copy.close()
    }))

  it.scoped("backup copies the database, while it is written", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const filename = Path.join(path, "db.sqlite")
      const { client, connection, driver } = yield* open({ filename, workers })
      yield* execute(
        connection,
        "CREATE TABLE t(x); INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000) SELECT zeroblob(2000) FROM r"
      )
      const writer = yield* connect(driver)
      const writing = yield* Effect.fork(Effect.forever(
        Effect.zipRight(execute(writer, "INSERT INTO t VALUES (1)"), Effect.yieldNow())
      ))
      const destination = Path.join(path, "copy.sqlite")
      const { remainingPages, totalPages } = yield* client.backup(destination)
      yield* Fiber.interrupt(writing)
      strictEqual(remainingPages, 0)
      assertTrue(totalPages > 1000)
      const copy = new Database(destination)
      deepStrictEqual(copy.prepare("SELECT count(*) AS n FROM t WHERE x <> 1").all(), [{ n: 2000 }])
      copy.close()
      strictEqual(connection.transaction, "idle")
    }))

  it.scoped("backup to a place that cannot be written, and to a locked file", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const { client, connection } = yield* open({
        filename: Path.join(path, "db.sqlite"),
        workers,
        limits: { lockTimeout: 100 }
      })
      yield* execute(connection, "CREATE TABLE t(x)")
      const missing = yield* Effect.flip(client.backup(Path.join(path, "missing", "copy.sqlite")))
      strictEqual(missing._tag, "SqlError")
      const locked = Path.join(path, "locked.sqlite")
      yield* lock(locked, "CREATE TABLE u(x); BEGIN EXCLUSIVE", { journal: "DELETE" })
      const error = fromSqlError(yield* Effect.flip(client.backup(locked)), "default")
      strictEqual(error.reason, "Lock")
      deepStrictEqual(yield* execute(connection, "SELECT * FROM t"), [])
    }))

  const missing = Fs.existsSync(extension)
    ? ""
    : " (better-sqlite3 was not compiled here, so its test extension is missing)"

  it.scoped.skipIf(missing !== "")(
    `an extension is loaded by every connection, also by later ones${missing}`,
    () =>
      Effect.gen(function*() {
        const { client, connection, driver } = yield* open({ filename: yield* file, workers })
        const before = yield* connect(driver)
        const text = "SELECT testExtensionFunction(NULL, 123, 99, 2) AS n"
        yield* Effect.flip(execute(before, text))
        yield* client.loadExtension(extension)
        const after = yield* connect(driver)
        for (const one of [connection, before, after]) {
          deepStrictEqual(yield* execute(one, text), [{ n: 4 }])
        }
      })
  )

  it.scoped("an extension that is not there, and one for a read-only database", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const { client, connection } = yield* open({ filename, workers })
      const error = yield* Effect.flip(client.loadExtension("/nowhere/extension"))
      strictEqual(error._tag, "SqlError")
      deepStrictEqual(yield* execute(connection, "SELECT 1 AS n"), [{ n: 1 }])
      const readOnly = yield* open({ filename, workers, access: "read-only" })
      const refused = fromSqlError(yield* Effect.flip(readOnly.client.loadExtension(extension)), "default")
      strictEqual(refused.reason, "ReadOnly")
    }))
})
