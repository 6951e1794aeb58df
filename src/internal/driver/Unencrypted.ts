/**
 * Servers that were reached without TLS, where `prefer` allowed for that.
 */
import type { Host } from "../../DbConfig.js"

/** What does not leave the machine: a socket's folder, and the names and addresses of the machine itself. */
const local = /^(?:\/.*|localhost|127(?:\.\d{1,3}){3}|::1)$/i

/** Remembers the servers beyond this machine. */
export class Unencrypted {
  private readonly hosts = new Set<string>()

  add({ host }: Host): void {
    if (!local.test(host)) this.hosts.add(host)
  }

  /** What to say of them; `undefined` where there are none. */
  readonly remark = (): string | undefined =>
    this.hosts.size === 0
      ? undefined
      : `no TLS to ${Array.from(this.hosts).join(", ")}, which does not offer it: ssl=require refuses such a server`
}
