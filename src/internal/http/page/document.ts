/** The status page as it is answered. It holds no data: its script asks for it, and writes it as text. */
import { parts } from "./parts.js"

/** The page, in one document: what it loads from elsewhere is the figures, from where it came from. */
export const document = (nonce: string): string => parts().join(nonce)

/** What the page may do: nothing but its own style, its own script, and questions to where it came from. */
export const policy = (nonce: string): string =>
  [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `script-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
