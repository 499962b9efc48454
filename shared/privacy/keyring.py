"""The master keys: the first wraps, all of them unwrap, and the file may change while we run."""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.settings import Settings

KEY_BYTES = 32
_NONCE = 12


def encrypt(key: AESGCM, text: bytes, context: str) -> bytes:
    """AES-GCM under a fresh nonce; `context` must be given again to decrypt."""
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, text, context.encode())


def decrypt(key: AESGCM, box: bytes, context: str) -> bytes:
    """What `encrypt` made. Raises InvalidTag."""
    return key.decrypt(box[:_NONCE], box[_NONCE:], context.encode())


class Keyring:
    """Master keys, newest first, one in base64 on each line of a file; or those of the environment."""

    def __init__(self, given: str, file: Path | None = None) -> None:
        self._file = file
        self._read_at = 0
        self._use(given)

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """As the settings name them; a file is made where `data_dir` has none yet."""
        if settings.master_key:
            return cls(settings.master_key.get_secret_value())
        file = settings.master_key_file or settings.data_dir / "master.key"
        if not file.exists():
            _write(file, _fresh())
        return cls(file.read_text(), file)

    def _use(self, given: str) -> None:
        keys = [base64.b64decode(line, validate=True) for line in given.split()]
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(
                "主密钥须为32字节（base64） / a master key is 32 bytes in base64, one on each line"
            )
        self._keys = [AESGCM(key) for key in keys]
        self.id = hashlib.sha256(b"master|" + keys[0]).hexdigest()[:12]
        """Names the key that wraps, without telling anything of it."""

    def reload(self) -> None:
        """Read the file again if it was changed."""
        if self._file is not None and (changed := self._file.stat().st_mtime_ns) != self._read_at:
            self._use(self._file.read_text())
            self._read_at = changed

    def wrap(self, key: bytes, context: str) -> bytes:
        """Encrypt with the newest key."""
        return encrypt(self._keys[0], key, context)

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Decrypt with whichever key fits. Raises InvalidTag."""
        for key in self._keys:
            try:
                return decrypt(key, wrapped, context)
            except InvalidTag:
                continue
        raise InvalidTag

    def add(self) -> None:
        """Make a new key the one that wraps; those before stay, to unwrap. Raises PermissionError.

        Raises LookupError where the keys come from the environment, which cannot change while we run.
        """
        if self._file is None:
            raise LookupError("主密钥来自环境变量，无法轮换 / keys from the environment cannot be rotated")
        fresh = self._file.with_suffix(".new")
        fresh.unlink(missing_ok=True)  # of one that was killed on the way
        _write(fresh, _fresh() + self._file.read_text())
        fresh.replace(self._file)
        self.reload()


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
