/**
 * A TCP relay in front of a server that can go silent or cut its links. It knows nothing of the protocol, except that
 * statements pass as text.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"

export interface Relay {
  readonly port: number
  /** Links open now. */
  readonly links: () => number
  /** Nothing passes any more in either direction; new links are accepted and get no answer. */
  readonly silence: () => void
  /** Cuts every link. */
  readonly cut: () => void
  /** When the client sends something that contains this text: cuts its link before or after the server has got it. */
  readonly cutAt: (text: string, when: "before" | "after") => void
  /** Bytes from the client until a link goes silent. */
  readonly silenceAfter: (bytes: number) => void
}

/** Listens until the scope closes. */
export const makeRelay = (host: string, port: number): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: net.Server; readonly relay: Relay; readonly end: () => void }>((resume) => {
        const pairs = new Set<readonly [net.Socket, net.Socket]>()
        let silent = false
        let cutting: { readonly text: string; readonly when: "before" | "after" } | undefined
        let limit = Infinity
        const cut = () => {
          for (const [client, upstream] of pairs) {
            client.resetAndDestroy()
            upstream.destroy()
          }
        }
        const server = net.createServer((client) => {
          const upstream = net.connect(port, host)
          const pair = [client, upstream] as const
          pairs.add(pair)
          let sent = 0
          for (const socket of pair) {
            socket.on("error", () => {})
            socket.on("close", () => {
              pairs.delete(pair)
              client.destroy()
              upstream.destroy()
            })
          }
          client.on("data", (chunk) => {
            sent += chunk.length
            if (silent || sent > limit) return
            if (cutting !== undefined && chunk.includes(cutting.text)) {
              const { when } = cutting
              cutting = undefined
              if (when === "after") {
                // The server has had it when it answers; the answer does not pass.
                upstream.removeAllListeners("data")
                upstream.write(chunk)
                upstream.once("data", cut)
              } else cut()
              return
            }
            upstream.write(chunk)
          })
          upstream.on("data", (chunk) => {
            if (!silent && sent <= limit) client.write(chunk)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const listening = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({
            server,
            end: cut,
            relay: {
              port: listening,
              links: () => pairs.size,
              silence: () => {
                silent = true
              },
              cut,
              cutAt: (text, when) => {
                cutting = { text, when }
              },
              silenceAfter: (bytes) => {
                limit = bytes
              }
            }
          }))
        })
      }),
      ({ end, server }) =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          end()
        })
    ),
    ({ relay }) => relay
  )
