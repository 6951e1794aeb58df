import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as DbTest from "../../src/DbTest.js"
import { fields, paramsOf, rowOf } from "./kit.js"

const migrations = DbMigrator.fromRecord({
  V1__schema: `
    CREATE TABLE users (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, email VARCHAR(80), age INT, active BOOLEAN NOT NULL, big BIGINT NOT NULL,
      score REAL, picture BLOB, born DATE, price DECIMAL(10, 2), anything
    );
    CREATE TABLE posts (user_id INTEGER NOT NULL REFERENCES users (id), title TEXT NOT NULL, PRIMARY KEY (user_id, title)) WITHOUT ROWID;
    CREATE TABLE keyed (code TEXT PRIMARY KEY);
    CREATE VIEW authors AS SELECT u.id, p.title FROM users u LEFT JOIN posts p ON p.user_id = u.id;
  `
})

const database = DbTest.sqlite({ migrations })

describe("checked SQL on SQLite", () => {
  it.effect("reads types and nullability of columns", () =>
    Effect.gen(function*() {
      expect(yield* rowOf("SELECT * FROM users")).toEqual({
        id: "number",
        name: "string",
        email: "string | null",
        age: "number | null",
        active: "number",
        big: "number | bigint",
        score: "number | null",
        picture: "Buffer | null",
        born: "string | number | null",
        price: "number | string | null",
        anything: "unknown"
      })
      expect(yield* rowOf("SELECT code, user_id FROM keyed, posts")).toEqual({
        code: "string | null",
        user_id: "number"
      })
    }).pipe(Effect.provide(database)))

  it.effect("doubts NOT NULL where the statement takes it back", () =>
    Effect.gen(function*() {
      const name = (text: string) => Effect.map(rowOf(text), ({ name }) => name)
      expect(yield* rowOf("SELECT u.name, p.title FROM users u LEFT JOIN posts p ON p.user_id = u.id")).toEqual({
        name: "string",
        title: "string | null"
      })
      expect(yield* rowOf("SELECT u.name, p.title FROM users u LEFT OUTER JOIN main.\"posts\" AS p ON 1"))
        .toEqual({ name: "string", title: "string | null" })
      expect(yield* name("SELECT u.name FROM users u RIGHT JOIN posts p ON p.user_id = u.id")).toBe("string | null")
      expect(yield* name("SELECT u.name FROM users u FULL JOIN posts p ON p.user_id = u.id")).toBe("string | null")
      expect(yield* name("SELECT u.name FROM users u JOIN posts p ON p.user_id = u.id")).toBe("string")
      expect(yield* name("SELECT p.title AS name FROM users LEFT JOIN (posts p JOIN users v ON v.id = p.user_id) ON 1"))
        .toBe("string | null")
      expect(yield* name("WITH c AS (SELECT name FROM users) SELECT c.name FROM posts LEFT JOIN c ON 1")).toBe(
        "string | null"
      )
      expect(yield* name("WITH c AS (SELECT name FROM users) SELECT c.name FROM c")).toBe("string")
      expect(yield* name("SELECT s.name FROM (SELECT name FROM users) s")).toBe("string")
      expect(yield* name("SELECT (SELECT name FROM users) AS name")).toBe("string | null")
      expect(yield* name("SELECT name FROM users UNION SELECT NULL")).toBe("string | null")
      expect(yield* name("SELECT max(age), name FROM users")).toBe("string | null")
      expect(yield* name("SELECT max(age), name FROM users GROUP BY name")).toBe("string")
      expect(yield* name("SELECT sum(age) OVER (), name FROM users")).toBe("string")
      expect(yield* name("SELECT title AS name FROM authors")).toBe("string | null")
      expect(yield* rowOf("INSERT INTO users (name, active, big) VALUES (:n, TRUE, 1) RETURNING id, email")).toEqual({
        id: "number",
        email: "string | null"
      })
    }).pipe(Effect.provide(database)))

  it.effect("knows expressions by their words", () =>
    Effect.gen(function*() {
      expect(
        yield* rowOf(
          "SELECT count(*) AS a, count(*) b, upper(name) AS c, CAST(age AS TEXT) AS d, 1 AS e, 'x' AS f, EXISTS (SELECT 1) AS g, " +
            "coalesce(email, '') AS h, age + 1 AS i, sum(age) AS j, row_number() OVER (ORDER BY id) AS k, total(age) * 2 AS l, " +
            "CURRENT_TIMESTAMP AS m, name AS n FROM users GROUP BY id"
        )
      ).toEqual({
        a: "number",
        b: "number",
        c: "string | null",
        d: "string | null",
        e: "number",
        f: "string",
        g: "number",
        h: "unknown",
        i: "unknown",
        j: "number | null",
        k: "number",
        l: "unknown",
        m: "string",
        n: "string"
      })
      expect(yield* rowOf("SELECT count(*) AS n FROM users")).toEqual({ n: "number" })
    }).pipe(Effect.provide(database)))

  it.effect("tells parameters by the columns beside them", () =>
    Effect.gen(function*() {
      expect(
        yield* paramsOf(
          "SELECT id FROM users u WHERE u.id = :id AND name LIKE :like AND :age < age AND score BETWEEN :low AND :high " +
            "AND big IN (:bigs) AND email IN (:one, :two) AND picture = :picture LIMIT :limit OFFSET :offset"
        )
      ).toEqual({
        id: "number | bigint",
        like: "string",
        age: "number | bigint",
        low: "number",
        high: "number",
        bigs: "ReadonlyArray<number | bigint>",
        one: "string | ReadonlyArray<string>",
        two: "string | ReadonlyArray<string>",
        picture: "Uint8Array | ArrayBuffer",
        limit: "number | bigint",
        offset: "number | bigint"
      })
      expect(
        yield* paramsOf(
          "INSERT INTO users (name, email, active, big) VALUES (:name, :email, :active, :big + 1) " +
            "ON CONFLICT (id) DO UPDATE SET age = :age, name = :again"
        )
      ).toEqual({
        name: "string",
        email: "string | null",
        active: "boolean | number",
        big: "Param",
        age: "number | bigint | null",
        again: "string"
      })
      expect(yield* paramsOf("UPDATE users SET email = :email, name = :name WHERE id = :id")).toEqual({
        email: "string | null",
        name: "string",
        id: "number | bigint"
      })
      expect(
        yield* paramsOf(
          "SELECT id FROM users WHERE :q IS NULL OR name = :q OR age = :sum + 1 OR email = :both OR age = :both"
        )
      )
        .toEqual({ q: "string | null", sum: "Param", both: "Param" })
    }).pipe(Effect.provide(database)))

  it.effect("takes the comments' word in place of its own", () =>
    Effect.gen(function*() {
      expect(
        yield* fields({
          "queries/users.sql": `-- name: find :option
-- Finds one.
-- :id number
-- :since Date | null
-- :payload json
-- @nullable name, :like
-- @notNull email, "the age"
-- @type tags ReadonlyArray<string>
-- @type big bigint
SELECT name, email, age AS "the age", anything AS tags, big FROM users WHERE id = :id AND born > :since AND anything = :payload AND name LIKE :like`
        })
      ).toEqual({
        "FindParams.id": "number",
        "FindParams.since": "Date | null",
        "FindParams.payload": "Param",
        "FindParams.like": "string | null",
        "FindRow.name": "string | null",
        "FindRow.email": "string",
        "FindRow.\"the age\"": "number",
        "FindRow.tags": "ReadonlyArray<string> | null",
        "FindRow.big": "bigint"
      })
    }).pipe(Effect.provide(database)))
})
