/**
 * The way to a server: an address that was reached, and how the link is encrypted.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"

export interface Route {
  /** As `net.connect` takes it: never resolved anew, so that a cancel reaches the server it is meant for. */
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string }
  /** `undefined` where the link is not encrypted. A function, since there is a key in it. */
  readonly tls: (() => Tls.ConnectionOptions) | undefined
  /** The name the certificate is checked against. */
  readonly name: string
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** Opens a socket along a route; `ready` is called when it may be written to. A failure closes it with that error. */
export const connect = (route: Route, ready: (socket: Net.Socket) => void): Net.Socket => {
  const socket = Net.connect({ ...route.to })
  socket.setNoDelay(true)
  const { tls } = route
  if (tls === undefined) {
    socket.once("connect", () => ready(socket))
    return socket
  }
  socket.once("connect", () => socket.write(sslRequest))
  socket.once("data", (answer) => {
    if (answer[0] !== 83) {
      socket.destroy(new Error("The server does not support SSL connections"))
      return
    }
    const secure = Tls.connect({
      ...tls(),
      socket,
      host: route.name,
      // A server name must not be an address.
      ...(Net.isIP(route.name) === 0 ? { servername: route.name } : {})
    })
    secure.on("error", (error) => socket.destroy(error))
    secure.once("secureConnect", () => ready(secure))
    secure.on("close", () => socket.destroy())
  })
  return socket
}
