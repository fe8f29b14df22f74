// Signs tokens and hashes as the vendors' documents show. Orders in on stdin, tokens out on stdout, both JSON:
//
//   {"orders": [{"name", "by", ...}], "keys": [{"kid", "alg"}], "now": seconds}
//     ->  {"tokens": {name: token}, "keys": {kid: {jwk, pem}}}
//
// Every token is issued at the time "now", in seconds since 1970.
// Keys of issuers are made here, and only their public halves leave this process.

import crypto from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";
import jwt from "jsonwebtoken";

const keys = {};

// null in an order stands for what JSON cannot say: the member is left out
const given = (members) => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));

const signers = {
  // Hissuno, "Generating Tokens Server-Side", Node.js / Express
  hissuno({ user, secret, changes, options }) {
    return jwt.sign(
      given({
        userId: user.id,
        userMetadata: { name: user.name, email: user.email },
        ...changes,
      }),
      secret,
      given({ algorithm: "HS256", expiresIn: "24h", ...options }),
    );
  },

  // Featurebase, "Transitioning to JWT-Based authentication", Step 2: no expiry
  featurebase({ tokenData, secret, options }) {
    return jwt.sign(tokenData, secret, { algorithm: "HS256", ...options });
  },

  // Featurebase, "Current Identity Verification (HMAC Hashing)": userHash, and companyHash alike
  hash({ identifier, secretKey, algorithm, digest }) {
    return crypto.createHmac(algorithm ?? "sha256", secretKey).update(identifier).digest(digest ?? "hex");
  },

  // Userz, "Manual JWT construction": HMAC-SHA256(signingSecret, base64url(header) + "." + base64url(payload))
  userz({ payload, secret, encoding, header, hash }) {
    const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = base64url(header ?? { alg: "HS256", typ: "JWT" }) + "." + base64url(payload);
    const key = encoding === undefined ? secret : Buffer.from(secret, encoding);
    return signed + "." + crypto.createHmac(hash ?? "sha256", key).update(signed).digest("base64url");
  },

  // Userz, the same shape by way of a library
  userzByJose({ payload, secret, encoding, alg }) {
    return new SignJWT(payload).setProtectedHeader({ alg: alg ?? "HS256" }).sign(Buffer.from(secret, encoding));
  },

  // getuserfeedback: an identity provider of the app's own, with a key set
  issuer({ payload, kid, header }) {
    const { alg, privateKey } = keys[kid];
    return new SignJWT(payload).setProtectedHeader({ alg, kid, typ: "JWT", ...header }).sign(privateKey);
  },

  // A public key taken for a shared secret, as an attacker would
  confused({ payload, kid }) {
    return signers.userz({ payload, secret: keys[kid].pem, header: { alg: "HS256", kid } });
  },

  unsigned({ payload }) {
    return new UnsecuredJWT(payload).encode();
  },
};

const { orders, keys: wanted, now } = JSON.parse(readFileSync(0, "utf8"));

// the clock by which jsonwebtoken writes iat, exp and nbf
Date.now = () => now * 1000;

for (const { kid, alg } of wanted) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  keys[kid] = { alg, privateKey, pem: await exportSPKI(publicKey), jwk: { ...(await exportJWK(publicKey)), kid, use: "sig" } };
}

const tokens = {};
for (const { name, by, ...order } of orders) {
  tokens[name] = await signers[by](order);
}

const published = Object.fromEntries(Object.entries(keys).map(([kid, { jwk, pem }]) => [kid, { jwk, pem }]));
writeFileSync(1, JSON.stringify({ tokens, keys: published }));
