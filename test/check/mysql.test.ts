import { expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Db } from "../../src/Db.js"
import { describeMariadb, freshMysqlDatabase } from "../kit/mysql.js"
import { paramsOf, problems, rowOf } from "./kit.js"
import { kindsOfValues } from "./values.js"

const schema = [
  `CREATE TABLE users (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, email TEXT, age INT, active BOOLEAN NOT NULL DEFAULT TRUE,
    price DECIMAL(10, 2), born DATE, seen DATETIME(6) NOT NULL DEFAULT now(6), at TIME, ratio DOUBLE, picture BLOB, data JSON,
    mood ENUM('fine', 'bad'), flags SET('a', 'b'), bits BIT(8), code CHAR(3), raw BINARY(2), year YEAR
  )`,
  "CREATE TABLE posts (id INT PRIMARY KEY, user_id BIGINT NOT NULL, title VARCHAR(80) NOT NULL)",
  "CREATE VIEW authors AS SELECT u.name, p.title FROM users u LEFT JOIN posts p ON p.user_id = u.id",
  `INSERT INTO users (name, email, age, price, born, at, ratio, picture, data, mood, flags, bits, code, raw, year)
    VALUES ('Ada', 'a@x', 36, 1.5, '2026-01-01', '10:00:00', 0.5, x'00', '{}', 'bad', 'a,b', b'1', 'abc', x'0001', 2026)`
]

/** A database of one's own with the schema. */
const withSchema = <A, E>(effect: Effect.Effect<A, E, Db>) =>
  Effect.scoped(Effect.flatMap(freshMysqlDatabase, ({ url }) =>
    Effect.forEach(schema, (text) => Db.query(text)).pipe(
      Effect.zipRight(effect),
      Effect.provide(Db.layer({ url: Redacted.make(url), environment: "test" }))
    )))

describeMariadb("checked SQL on MariaDB", () => {
  it.live(
    "reads types and nullability of columns, and values are of these types",
    () =>
      withSchema(Effect.gen(function*() {
        const types = yield* rowOf("SELECT * FROM users")
        expect(types).toEqual({
          id: "number | string",
          name: "string",
          email: "string | null",
          age: "number | null",
          active: "number",
          price: "string | null",
          born: "Date | null",
          seen: "Date",
          at: "string | null",
          ratio: "number | null",
          picture: "Buffer | null",
          data: "unknown",
          mood: "string | null",
          flags: "string | null",
          bits: "Buffer | null",
          code: "string | null",
          raw: "Buffer | null",
          year: "number | null"
        })
        const [row] = yield* Db.query("SELECT * FROM users")
        expect(kindsOfValues(types, row!)).toEqual({})
      })),
    60_000
  )

  it.live("doubts NOT NULL where the statement takes it back", () =>
    withSchema(Effect.gen(function*() {
      expect(
        yield* rowOf(
          "SELECT u.name, p.title, count(*) AS n, 1 AS one FROM users u LEFT JOIN posts p ON p.user_id = u.id GROUP BY u.name, p.title"
        )
      ).toEqual({ name: "string", title: "string | null", n: "number | string", one: "number" })
      expect(yield* rowOf("SELECT name, title FROM authors")).toEqual({ name: "string | null", title: "string | null" })
      expect(
        yield* rowOf("SELECT upper(name) AS a, upper(title) AS b FROM users LEFT JOIN posts ON user_id = users.id")
      ).toEqual({
        a: "string | null",
        b: "string | null"
      })
      expect(yield* rowOf("SELECT max(age) AS age, name FROM users")).toEqual({
        age: "number | null",
        name: "string | null"
      })
    })), 60_000)

  it.live("tells parameters by the columns beside them", () =>
    withSchema(Effect.gen(function*() {
      expect(yield* paramsOf("SELECT id FROM users WHERE id IN (:ids) AND `name` = :name AND seen > :seen LIMIT :n"))
        .toEqual({
          ids: "ReadonlyArray<number | bigint | string>",
          name: "string",
          seen: "Date | string",
          n: "number | bigint"
        })
      expect(
        yield* paramsOf(
          "INSERT INTO users (name, email) VALUES (:name, :email) ON DUPLICATE KEY UPDATE email = :email, age = :age"
        )
      ).toEqual({ name: "string", email: "string | null", age: "number | bigint | null" })
    })), 60_000)

  it.live(
    "passes what cannot be prepared",
    () =>
      withSchema(
        Effect.map(problems({ "queries/a.sql": "PREPARE s FROM 'SELECT 1'" }), (found) => expect(found).toEqual([]))
      ),
    60_000
  )

  it.live("tells what the server says", () =>
    withSchema(Effect.gen(function*() {
      expect(
        yield* problems({
          "queries/a.sql": "SELECT nme FROM users",
          "queries/b.sql": "SELECT id FROM users WHERE id = ?"
        })
      )
        .toEqual([
          expect.stringMatching(/^queries\/a\.sql:1: a: .*nme.* \(UndefinedObject, /),
          "queries/b.sql:1: b: the statement has placeholders without a name: write its parameters as :id"
        ])
    })), 60_000)
})
