/** What requests have seen of databases with replicas. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Members } from "../../src/internal/database/Members.js"
import { withToken } from "../../src/internal/http/token.js"
import * as Seen from "../../src/internal/replicas/Seen.js"

/** What a request needs of a database: its token is how far was seen. */
class Database {
  readonly token = Effect.withFiber((fiber) => Effect.succeed(Seen.get(fiber, this)?.position.toString()))

  saw(position: number): Effect.Effect<void> {
    return Effect.withFiber((fiber) =>
      Effect.sync(() => Seen.add(fiber, this, { position: BigInt(position), pending: undefined }))
    )
  }

  readonly withToken: Members<never>["withToken"] = dual(
    2,
    <A, E, R>(effect: Effect.Effect<A, E, R>, token: string | undefined): Effect.Effect<A, E, R> =>
      token === undefined ? effect : Effect.andThen(this.saw(Number(token)), effect)
  )
}

describe("a request with the tokens of two databases", () => {
  it.effect("knows what its client has seen of both, and tells what it has seen of both", () =>
    Effect.gen(function*() {
      const [shop, hub] = [new Database(), new Database()]
      let known: ReadonlyArray<string | undefined> = []
      const app = Effect.gen(function*() {
        known = [yield* shop.token, yield* hub.token]
        yield* shop.saw(11)
        yield* hub.saw(12)
        return HttpServerResponse.empty()
      })
      const inHeader = (name: string) => ({ in: "header", name } as const)
      const response = yield* withToken(
        hub,
        "hub",
        withToken(shop, "shop", app, inHeader("shop")),
        inHeader("hub")
      ).pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://localhost", { headers: { shop: "1", hub: "2" } }))
        )
      )
      assert.deepStrictEqual(known, ["1", "2"])
      assert.deepInclude(response.headers, { shop: "11", hub: "12" })
      // And no other request has seen it.
      assert.deepStrictEqual([yield* shop.token, yield* hub.token], [undefined, undefined])
    }))
})
