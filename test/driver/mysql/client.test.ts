import * as Reactivity from "@effect/experimental/Reactivity"
import { MysqlClient } from "@effect/sql-mysql2/MysqlClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { inspect } from "node:util"
import { describe, expect } from "vitest"
import { make } from "../../../src/driver/Mysql.js"
import { traitsOf } from "../../../src/internal/driver/mysql/texts.js"
import { configFor } from "./harness.js"

const database = { url: "", name: "notes", host: "db.example", port: 3306, user: "app", password: "not-to-be-seen" }

describe("The MySQL driver", () => {
  it.effect("gives MysqlClient over the engine's client, without the password", () =>
    Effect.gen(function*() {
      const driver = yield* make(configFor(database, { transformQueryNames: (name) => name.toUpperCase() }))
      const client = yield* SqlClient.make({
        acquirer: Effect.dieMessage("nothing is to be sent"),
        compiler: driver.compiler,
        spanAttributes: []
      })
      const context = yield* driver.services({
        client,
        database: "default",
        connection: Effect.dieMessage("no connection is to be acquired")
      })
      // What the driver gives beside the engine's client.
      const mysql = Context.unsafeGet(context, MysqlClient)
      expect(mysql).not.toBe(client)
      expect(mysql.config).toMatchObject({ host: "db.example", database: "notes", username: "app" })
      expect(mysql`SELECT ${mysql("a`b")} FROM t WHERE x = ${1} AND y IN ${mysql.in(["c", "d"])}`.compile()).toEqual([
        "SELECT `A``B` FROM t WHERE x = ? AND y IN (?,?)",
        [1, "c", "d"]
      ])
      expect(inspect([mysql, driver], { depth: 10, showHidden: true })).not.toContain(database.password)
      expect(driver.target.uri).toBe("mariadb://app@db.example:3306/notes")
    }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

  it("knows what a text leaves behind and what it commits", () => {
    const kept = { dirties: false, transactional: true, several: false }
    expect(traitsOf("SELECT 1")).toMatchObject(kept)
    expect(traitsOf("  ((SELECT 1) UNION (SELECT 2))")).toMatchObject(kept)
    expect(traitsOf("WITH x AS (SELECT 1) SELECT * FROM x;  ")).toMatchObject(kept)
    expect(traitsOf("-- why\n# and\n/* how; */ insert into t values (1)")).toMatchObject(kept)
    expect(traitsOf("SELECT ';x' AS a; -- ;b")).toMatchObject(kept)
    expect(traitsOf("/*! SET @a = 1 */")).toMatchObject({ dirties: true, transactional: false })
    expect(traitsOf("CREATE TABLE t (a INT)")).toMatchObject({ dirties: false, transactional: false })
    expect(traitsOf("CREATE TEMPORARY TABLE t (a INT)")).toMatchObject({ dirties: true })
    expect(traitsOf("SELECT 1; SET @a = 1")).toMatchObject({ dirties: true, several: true, transactional: false })
    expect(traitsOf("COMMIT;")).toMatchObject({ commit: true, control: true, boundary: true, transactional: false })
    expect(traitsOf("ROLLBACK TO SAVEPOINT a")).toMatchObject({ control: true, boundary: false })
    expect(traitsOf("COMMIT; SELECT 1")).toMatchObject({ commit: false, control: false, several: true })
    expect(traitsOf("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ ONLY")).toMatchObject({
      control: true,
      boundary: true,
      several: false,
      dirties: false
    })
    expect(traitsOf("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")).toMatchObject({ dirties: true })
    expect(traitsOf("")).toMatchObject({ dirties: true })
  })
})
