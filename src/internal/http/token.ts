/**
 * What a client has seen of a database, from one of its requests to the next.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Members } from "../../Db.js"

type Response = HttpServerResponse.HttpServerResponse

/** How the token travels. */
export interface Options {
  readonly in: "cookie" | "header"
  readonly name: string
  /** Of the cookie, in milliseconds. */
  readonly maxAge: Duration.DurationInput
}

/** A name of a header, and of a cookie. */
export const defaultName = (database: string): string =>
  `dblive-token-${database.replace(/[^\w-]/g, "_").toLowerCase()}`

/**
 * Gives the handler what the client has seen, and the client what the handler has. A text that is no token is not one of ours, and
 * is as none. Where what the handler has seen cannot be found out, its response goes without: what it did is done.
 */
export const withToken = <Self, E, R>(
  database: Pick<Members<Self>, "token" | "withToken">,
  app: Effect.Effect<Response, E, R>,
  { in: place, maxAge, name }: Options
): Effect.Effect<Response, E, R | Self | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const given = place === "cookie" ? request.cookies[name] : request.headers[name.toLowerCase()]
    const seen = Effect.ignore(database.withToken(Effect.void, given))
    const give = (response: Response): Effect.Effect<Response, never, Self> =>
      Effect.match(database.token, {
        onFailure: () => response,
        onSuccess: (token) =>
          token === undefined
            ? response
            : place === "header"
            ? HttpServerResponse.setHeader(response, name, token)
            : HttpServerResponse.unsafeSetCookie(response, name, token, {
              httpOnly: true,
              maxAge,
              path: "/",
              sameSite: "lax"
            })
      })
    return Effect.zipRight(seen, Effect.flatMap(app, give))
  })
