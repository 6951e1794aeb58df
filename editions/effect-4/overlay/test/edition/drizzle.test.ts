/** `drizzle-orm/effect-postgres` on our client. */
import { assert, it } from "@effect/vitest"
import { eq, sql as text } from "drizzle-orm"
import { makeWithDefaults } from "drizzle-orm/effect-postgres"
import { integer, jsonb, pgTable, serial, timestamp, varchar } from "drizzle-orm/pg-core"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import * as Pg from "../../src/driver/Pg.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"

const accounts = pgTable("account", {
  id: serial().primaryKey(),
  owner: varchar({ length: 40 }).notNull().unique(),
  balance: integer().notNull().default(0),
  settings: jsonb().$type<{ readonly theme: string }>(),
  opened: timestamp({ withTimezone: true }).notNull()
})

const opened = new Date("2026-02-03T04:05:06.789Z")

const onDatabase = <A, E>(
  use: (drizzle: Effect.Success<ReturnType<typeof makeWithDefaults>>) => Effect.Effect<A, E, Db>
) =>
  Effect.gen(function*() {
    const { url } = yield* freshDatabase
    yield* Effect.gen(function*() {
      yield* Db.query(
        "CREATE TABLE account (id serial PRIMARY KEY, owner varchar(40) UNIQUE NOT NULL, balance int NOT NULL DEFAULT 0, " +
          "settings jsonb, opened timestamptz NOT NULL)"
      )
      yield* use(yield* makeWithDefaults())
    }).pipe(Effect.provide(Db.layer({ url }).pipe(Pg.withClient)))
  })

describePostgres("drizzle", () => {
  it.live("inserts, selects, updates and deletes, with the same values as by its own client", () =>
    onDatabase((drizzle) =>
      Effect.gen(function*() {
        const [ada] = yield* drizzle.insert(accounts).values({ owner: "Ada", opened, settings: { theme: "dark" } })
          .returning()
        assert.deepStrictEqual(ada, { id: 1, owner: "Ada", balance: 0, opened, settings: { theme: "dark" } })
        yield* drizzle.insert(accounts).values([{ owner: "Bob", balance: 5, opened }, { owner: "Cyd", opened }])
        yield* drizzle.update(accounts).set({ balance: text`${accounts.balance} + 7` }).where(eq(accounts.owner, "Ada"))
        yield* drizzle.delete(accounts).where(eq(accounts.owner, "Cyd"))
        assert.deepStrictEqual(
          yield* drizzle.select({ owner: accounts.owner, balance: accounts.balance }).from(accounts).orderBy(
            accounts.id
          ),
          [{ owner: "Ada", balance: 7 }, { owner: "Bob", balance: 5 }]
        )
      })
    ))

  it.live("commits and undoes in our transactions, nested ones too, and gives the database's error", () =>
    onDatabase((drizzle) =>
      Effect.gen(function*() {
        const add = (owner: string) => drizzle.insert(accounts).values({ owner, opened })
        yield* drizzle.transaction((tx) =>
          Effect.gen(function*() {
            yield* tx.insert(accounts).values({ owner: "Ada", opened })
            yield* Effect.exit(
              tx.transaction((inner) =>
                Effect.andThen(inner.insert(accounts).values({ owner: "Bob", opened }), Effect.fail("no"))
              )
            )
            yield* Db.query("INSERT INTO account (owner, opened) VALUES ('Cyd', now())")
          })
        )
        yield* Effect.exit(Db.transaction(Effect.andThen(add("Dan"), Effect.fail("no"))))
        yield* drizzle.transaction((tx) => tx.select().from(accounts), {
          isolationLevel: "serializable",
          accessMode: "read only"
        })
        const owners = yield* drizzle.select({ owner: accounts.owner }).from(accounts).orderBy(accounts.id)
        assert.deepStrictEqual(owners.map(({ owner }) => owner), ["Ada", "Cyd"])
        const error = yield* Effect.flip(add("Ada"))
        assert.include(JSON.stringify(error), "UniqueViolation")
      })
    ))

  it.live("runs many statements of many fibers", () =>
    onDatabase((drizzle) =>
      Effect.gen(function*() {
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, n) => `owner ${n}`),
          (owner) => drizzle.insert(accounts).values({ owner, opened }),
          { concurrency: "unbounded" }
        )
        const read = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          (n) => drizzle.select().from(accounts).where(eq(accounts.owner, `owner ${n}`)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(read.map(([row]) => row?.owner), Array.from({ length: 200 }, (_, n) => `owner ${n}`))
      })
    ))
})
