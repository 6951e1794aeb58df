import { describe, expect, layer, type Vitest } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Db } from "../../src/Db.js"
import * as DbMigrator from "../../src/DbMigrator.js"
import * as DbTest from "../../src/DbTest.js"
import { describePostgres, sharedPostgres } from "../kit/postgres.js"
import { paramsOf, problems, rowOf } from "./kit.js"
import { kindsOfValues } from "./values.js"

const migrations = DbMigrator.fromRecord({
  V1__schema: `
    CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE DOMAIN short AS varchar(10);
    CREATE TABLE users (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email varchar(80), age int, small smallint, price numeric(10, 2),
      active boolean NOT NULL DEFAULT true, born date, seen timestamptz NOT NULL DEFAULT now(), ratio float8, bytes bytea, data jsonb,
      tags text[], moods mood[], mood mood, label short, key uuid, span interval, at point, address inet, local timestamp
    );
    CREATE TABLE posts (id int PRIMARY KEY, user_id bigint NOT NULL REFERENCES users (id), title text NOT NULL);
    CREATE VIEW authors AS SELECT u.id, u.name FROM users u;
  `
})

const everything =
  "INSERT INTO users (name, email, age, small, price, born, ratio, bytes, data, tags, moods, mood, label, key, span, at, address, local) " +
  "VALUES ('Ada', 'a@x', 36, 1, 1.50, '2026-01-01', 0.5, '\\\\x00', '{}', '{a,b}', '{fine}', 'bad', 'x', gen_random_uuid(), '1 day', " +
  "'(1,2)', '127.0.0.1', now())"

const suites = (it: Vitest.MethodsNonLive<Db>) => {
  it.effect("reads types and nullability of columns", () =>
    Effect.gen(function*() {
      expect(yield* rowOf("SELECT * FROM users")).toEqual({
        id: "string",
        name: "string",
        email: "string | null",
        age: "number | null",
        small: "number | null",
        price: "string | null",
        active: "boolean",
        born: "Date | null",
        seen: "Date",
        ratio: "number | null",
        bytes: "Buffer | null",
        data: "unknown",
        tags: "ReadonlyArray<string | null> | null",
        moods: "ReadonlyArray<string | null> | null",
        mood: "string | null",
        label: "string | null",
        key: "string | null",
        span:
          "{ years?: number; months?: number; days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number } | null",
        at: "{ x: number; y: number } | null",
        address: "string | null",
        local: "Date | null"
      })
    }))

  it.effect("gives the types that the values have", () =>
    Effect.gen(function*() {
      yield* Db.query(everything.replaceAll("\\\\", "\\"))
      const text = "SELECT * FROM users"
      const [row] = yield* Db.query(text)
      expect(kindsOfValues(yield* rowOf(text), row!)).toEqual({})
    }))

  it.effect("knows the arrays that are read without the catalog", () =>
    Effect.gen(function*() {
      const text = "SELECT " + [
        "'{1}'::int8[] AS a",
        "'{1}'::int4[] AS b",
        "'{1}'::int2[] AS c",
        "'{1.5}'::numeric[] AS d",
        "'{1.5}'::float8[] AS e",
        "'{t}'::bool[] AS f",
        "'{x}'::varchar[] AS g",
        "'{2026-01-01}'::timestamptz[] AS h",
        "'{2026-01-01}'::date[] AS i",
        "ARRAY['\\x00'::bytea] AS j",
        "ARRAY['{}'::jsonb] AS k",
        "ARRAY[gen_random_uuid()] AS l",
        "ARRAY['1 day'::interval] AS m",
        "ARRAY['127.0.0.1'::inet] AS n",
        "ARRAY['10:00'::time] AS o",
        "ARRAY['(1,2)'::point] AS p",
        "ARRAY['x'::char(2)] AS q",
        "ARRAY[1.5::float4] AS r",
        "ARRAY[ROW(1, 2)] AS s"
      ].join(", ")
      const types = yield* rowOf(text)
      const array = (type: string) => `ReadonlyArray<${type}> | null`
      const one = (type: string) => array(`${type} | null`)
      const interval =
        "{ years?: number; months?: number; days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number }"
      expect(types).toEqual({
        a: one("string"),
        b: one("number"),
        c: one("number"),
        d: one("string"),
        e: one("number"),
        f: one("boolean"),
        g: one("string"),
        h: one("Date"),
        i: one("Date"),
        j: one("Buffer"),
        k: array("unknown"),
        l: one("string"),
        m: one(interval),
        n: one("string"),
        o: one("string"),
        p: one("{ x: number; y: number }"),
        q: one("string"),
        r: one("number"),
        s: one("string")
      })
      const [row] = yield* Db.query(text)
      expect(kindsOfValues(types, row!)).toEqual({})
    }))

  it.effect("reads the types of parameters", () =>
    Effect.gen(function*() {
      expect(
        yield* paramsOf(
          "SELECT id FROM users WHERE id = :id AND name = :name AND age > :age AND seen < :seen AND price = :price AND active = :active AND " +
            "tags && :tags AND mood = :mood AND data = :data AND bytes = :bytes AND label = :label AND id IN (:ids) AND :q::int IS NULL"
        )
      ).toEqual({
        id: "bigint | number | string",
        name: "string",
        age: "number | bigint",
        seen: "Date | string",
        price: "string | number | bigint",
        active: "boolean",
        tags: "ReadonlyArray<string | null>",
        mood: "string",
        data: "Param",
        bytes: "Uint8Array | ArrayBuffer",
        label: "string",
        ids: "ReadonlyArray<bigint | number | string>",
        q: "number | bigint | null"
      })
      expect(yield* paramsOf("INSERT INTO users (name, email, moods) VALUES (:name, :email, :moods)")).toEqual({
        name: "string",
        email: "string | null",
        moods: "ReadonlyArray<string | null> | null"
      })
      expect(
        yield* paramsOf("UPDATE users SET email = :email WHERE id = :id AND (:name::text IS NULL OR name = :name)")
      ).toEqual({
        email: "string | null",
        id: "bigint | number | string",
        name: "string | null"
      })
    }))

  it.effect("doubts NOT NULL where the statement takes it back", () =>
    Effect.gen(function*() {
      const name = (text: string) => Effect.map(rowOf(text), ({ name }) => name)
      expect(
        yield* rowOf(
          "SELECT u.name, p.title, count(*) AS n FROM users u LEFT JOIN public.posts p ON p.user_id = u.id GROUP BY u.name, p.title"
        )
      ).toEqual({ name: "string", title: "string | null", n: "string" })
      expect(yield* name("SELECT name FROM users RIGHT JOIN posts ON true")).toBe("string | null")
      expect(
        yield* name("SELECT v.title AS name FROM users u LEFT JOIN users w JOIN posts v ON v.user_id = w.id ON true")
      )
        .toBe("string | null")
      expect(yield* name("SELECT x.name FROM posts LEFT JOIN LATERAL (SELECT name FROM users) x ON true")).toBe(
        "string | null"
      )
      expect(yield* name("SELECT name FROM authors")).toBe("string | null")
      expect(yield* name("SELECT name FROM users GROUP BY ROLLUP (name)")).toBe("string | null")
      expect(yield* name("SELECT name FROM users UNION SELECT NULL")).toBe("string | null")
      expect(yield* name("SELECT name FROM (SELECT name FROM users) s")).toBe("string")
      expect(yield* name("SELECT (SELECT name FROM users LIMIT 1) AS name")).toBe("string | null")
      expect(yield* name("INSERT INTO users (name) VALUES ('x') RETURNING name")).toBe("string")
    }))

  it.effect("tells what the server says, and in which line", () =>
    Effect.gen(function*() {
      expect(
        yield* problems({
          "queries/a.sql": "SELECT id,\r\n  nme\r\nFROM users",
          "queries/b.sql": "SELECT id FROM users WHERE id = $1",
          "queries/c.sql": "SELECT :x::int + true",
          "queries/d.sql": "SELECT id FROM users WHERE id = :id AND name = $2",
          "queries/e.sql": "SELECT id, id FROM users"
        })
      ).toEqual([
        expect.stringMatching(/^queries\/a\.sql:2: a: column "nme" does not exist \(UndefinedObject, 42703\)/),
        "queries/b.sql:1: b: the statement has placeholders without a name: write its parameters as :id",
        expect.stringMatching(/^queries\/c\.sql:1: c: operator does not exist/),
        "queries/d.sql:1: d: the statement has $2: its parameters are written by their names, such as :id",
        "queries/e.sql:1: e: two columns are named \"id\", and a row would have one of them: name the other one by AS"
      ])
    }))
}

describePostgres("checked SQL on PostgreSQL", () => {
  layer(Layer.suspend(() => DbTest.postgres({ migrations, url: sharedPostgres().url })))((it) => suites(it))
})

describe("checked SQL on PGlite", () => {
  layer(DbTest.pglite({ migrations }), { timeout: "60 seconds" })((it) => suites(it))
})
