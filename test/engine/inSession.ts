/** What tests of a session and its fiber have in common. */
import type { SqlClient } from "@effect/sql"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Db } from "../../src/Db.js"
import { fakeDb } from "../kit/fakeDb.js"

/** A service of a test's own. */
export class Name extends Context.Tag("Name")<Name, string>() {}

/** The keys of the services that are at hand. */
export const contextKeys = Effect.map(Effect.context<never>(), (context) => [...context.unsafeMap.keys()].sort())

/** Runs an effect on a fake database. */
export const inDb = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
  Effect.flatMap(fakeDb(), ({ layer }) => Effect.provide(effect, layer))

/** What pins a connection to an effect. */
export const kinds: ReadonlyArray<readonly [string, typeof Db.session]> = [["session", Db.session], [
  "transaction",
  Db.transaction
]]
