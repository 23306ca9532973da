//! Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256.

use chrono::Utc;
use emotionviz_settings::Security;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hmac_sha256::PROVIDER;

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Claims {
    pub sub: Uuid,
    /// The token's own id, by which it is revoked.
    pub jti: Uuid,
    /// In seconds since 1970.
    pub iat: i64,
    /// In seconds since 1970.
    pub exp: i64,
    /// The user's token generation at the time of issue. A new password begins the next generation, and ends all earlier tokens.
    #[serde(rename = "gen")]
    pub generation: i32,
}

pub struct Issued {
    pub token: String,
    /// In seconds.
    pub expires_in: i64,
}

pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    header: Header,
    seconds: i64,
}

impl Tokens {
    pub fn new(settings: &Security) -> Self {
        // This fails if the same provider is installed already.
        PROVIDER.install_default().ok();
        let secret = settings.jwt_secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            header: Header::new(Algorithm::HS256),
            seconds: i64::from(settings.token_minutes) * 60,
        }
    }

    pub fn issue(&self, user: Uuid, generation: i32) -> Issued {
        let iat = Utc::now().timestamp();
        let claims = Claims {
            sub: user,
            jti: Uuid::new_v4(),
            iat,
            exp: iat + self.seconds,
            generation,
        };
        let token = encode(&self.header, &claims, &self.encoding)
            .expect("the algorithm is the provider's own, and the claims are plain");
        Issued {
            token,
            expires_in: self.seconds,
        }
    }

    /// Returns the claims of a token, if we issued it and it has not expired.
    pub fn read(&self, token: &str) -> Option<Claims> {
        decode(token, &self.decoding, &self.validation)
            .ok()
            .map(|data| data.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str, minutes: u32) -> Tokens {
        Tokens::new(&Security {
            jwt_secret: secret.into(),
            token_minutes: minutes,
        })
    }

    #[test]
    fn what_was_issued_is_read() {
        let (ours, user) = (tokens("one", 60), Uuid::new_v4());
        let issued = ours.issue(user, 7);
        let claims = ours.read(&issued.token).unwrap();
        assert_eq!(
            (
                claims.sub,
                claims.generation,
                claims.exp - claims.iat,
                issued.expires_in
            ),
            (user, 7, 3600, 3600)
        );
        assert!(
            tokens("two", 60).read(&issued.token).is_none(),
            "another key"
        );
        assert!(
            ours.read(&format!("{}x", issued.token)).is_none()
                && ours.read("").is_none()
                && ours.read("a.b.c").is_none()
        );
    }

    /// The example of jwt.io, signed by other code, and the same without a signature.
    #[test]
    fn signatures_are_those_of_others() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let key = tokens("your-256-bit-secret", 1).decoding;
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS256)
                .unwrap()
        );
        assert!(
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::HS512)
                .is_err()
        );
        assert!(
            tokens("x", 1)
                .read("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.")
                .is_none()
        );
    }
}
